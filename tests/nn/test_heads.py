"""The three heads: losses, gradients, what is kept, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minilora.autograd import gradients, no_grad, saved_bytes
from minilora.errors import ConfigError, DataError, ShapeError
from minilora.nn import BertForMaskedLM, BertForTokenClassification, training
from minilora.nn.labels import checked_labels

LABELS = ["O", "B-X", "I-X"]


def log_softmax(x):
    x = x - x.max(axis=1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=1, keepdims=True))


def test_the_loss_is_the_mean_cross_entropy_of_the_labelled_rows(make_model, make_batch, per):
    model, batch = make_model(per), make_batch([4, 7, 1], per)
    labelled = np.flatnonzero(batch.labels != -100)
    rows = log_softmax(model(batch).data)[labelled, batch.labels[labelled]]
    assert model.loss(batch).item() == pytest.approx(-rows.mean(), rel=1e-12)


def test_label_smoothing_mixes_in_the_uniform_distribution(make_model, make_batch, per):
    model, batch = make_model(per), make_batch([4, 7, 1], per)
    labelled = np.flatnonzero(batch.labels != -100)
    rows = log_softmax(model(batch).data)[labelled]
    sharp, flat = rows[np.arange(len(rows)), batch.labels[labelled]], rows.mean(axis=1)
    expected = -(0.9 * sharp + 0.1 * flat).mean()
    assert model.loss(batch, label_smoothing=0.1).item() == pytest.approx(expected, rel=1e-12)


def test_the_gradient_of_a_whole_model_is_right(make_model, make_batch, per, rng):
    """⟨∇loss, v⟩ against central differences, for a direction v in all parameters at once."""
    model, batch = make_model(per), make_batch([4, 7, 1], per)
    parameters = [p for _, p in model.named_parameters()]
    directions = [rng.standard_normal(p.shape) for p in parameters]
    grads = gradients(model.loss(batch))
    exact = sum(np.vdot(grads[p], v) for p, v in zip(parameters, directions, strict=True))

    def loss_along(step: float) -> float:
        for p, v in zip(parameters, directions, strict=True):
            p.data = p.data + step * v
        with no_grad():
            loss = model.loss(batch).item()
        for p, v in zip(parameters, directions, strict=True):
            p.data = p.data - step * v
        return loss

    numeric = (loss_along(1e-6) - loss_along(-1e-6)) / 2e-6
    assert exact == pytest.approx(numeric, rel=1e-7)


def test_every_parameter_gets_a_gradient(make_model, make_batch, per):
    model = make_model(per)
    grads = gradients(model.loss(make_batch([4, 7, 1], per)))
    for name, p in model.named_parameters():
        assert np.abs(grads[p]).max() > 0, name


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_everything_has_the_dtype_of_the_weights(make_model, make_batch, per, dtype):
    model, batch = make_model(per, dtype), make_batch([4, 7, 1], per)
    with training(np.random.default_rng(0)):
        loss = model.loss(batch)
    assert model(batch).dtype == dtype
    assert loss.dtype == dtype
    assert {grad.dtype for grad in gradients(loss).values()} == {np.dtype(dtype)}


def test_both_precisions_agree(make_model, make_batch, per):
    batch = make_batch([4, 7, 1], per)
    double, single = make_model(per, np.float64), make_model(per, np.float32)
    for (_, p), (_, q) in zip(double.named_parameters(), single.named_parameters(), strict=True):
        p.data = q.data.astype(np.float64)
    np.testing.assert_allclose(single(batch).data, double(batch).data, rtol=1e-4, atol=1e-4)


def test_parts_of_a_batch_add_up_to_the_whole(make_model, make_batch, per):
    model, batch = make_model(per), make_batch([4, 7, 1, 3, 9], per)
    whole = model.loss(batch)
    parts = [model.loss(part, n_targets=batch.n_targets) for part in batch.shards(3)]
    assert sum(p.item() for p in parts) == pytest.approx(whole.item(), rel=1e-12)
    exact, sums = gradients(whole), [gradients(part) for part in parts]
    for name, p in model.named_parameters():
        together = sum(grads[p] for grads in sums if p in grads)
        np.testing.assert_allclose(together, exact[p], rtol=1e-9, atol=1e-12, err_msg=name)


def test_a_part_without_labels_adds_nothing(make_model, make_batch, per):
    model, batch = make_model(per), make_batch([4, 3], per)
    unlabelled = replace(batch, labels=np.full_like(batch.labels, -100))
    loss = model.loss(unlabelled, n_targets=5)
    assert loss.item() == 0
    assert all(not grad.any() for grad in gradients(loss).values())


def test_frozen_weights_keep_no_activations(make_model, make_batch, per):
    """With a frozen encoder nothing below the head is kept; that is what makes LoRA cheap."""
    model, batch = make_model(per), make_batch([9, 10, 10], per)
    everything = [p for _, p in model.named_parameters()]
    full = sum(saved_bytes(model.loss(batch), parameters=everything).values())
    model.freeze()
    head = model.cls.predictions.bias if per == "word" else model.classifier.bias
    head.requires_grad_(True)
    assert sum(saved_bytes(model.loss(batch), parameters=everything).values()) < full / 20


def test_dropout_is_off_unless_training_and_the_same_for_the_same_seed(make_model, make_batch, per):
    model, batch = make_model(per), make_batch([4, 7, 1], per)

    def trained(seed: int) -> np.ndarray:
        with training(np.random.default_rng(seed)):
            return model(batch).data

    np.testing.assert_array_equal(model(batch).data, model(batch).data)
    np.testing.assert_array_equal(trained(1), trained(1))
    assert (trained(1) != trained(2)).any()
    assert (trained(1) != model(batch).data).any()


@pytest.mark.parametrize("head", ["token", "sequence"])
def test_the_classifier_has_its_own_dropout_probability(config, head, make_model, make_batch):
    model = make_model(head)
    assert model.dropout.p == config.hidden_dropout_prob
    for p in (0.0, 0.7):
        special = type(model)(replace(config, classifier_dropout=p), labels=LABELS, rng=None)
        assert special.dropout.p == p


@pytest.mark.parametrize("head", ["token", "sequence"])
def test_dropout_sits_right_before_the_classifier(config, head, make_model, make_batch, rng):
    elsewhere = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    config = replace(config, **elsewhere, classifier_dropout=0.5)
    model = type(make_model(head))(config, labels=LABELS, rng=rng, dtype=np.float64)
    model.classifier.weight.data = np.ones((3, 8))
    batch = make_batch([4, 7])
    inputs = model.bert(batch)
    if head == "sequence":
        inputs = model.bert.pooled(inputs, batch)
    with training(np.random.default_rng(0)):
        logits = model(batch).data
    with training(np.random.default_rng(0)):
        np.testing.assert_allclose(logits[:, 0], model.dropout(inputs).data.sum(axis=1))


def test_names_are_those_of_the_checkpoint(make_model):
    token, sequence, word = (
        {name for name, _ in make_model(per).named_parameters()}
        for per in ("token", "sequence", "word")
    )
    encoder = {name for name in token if name.startswith("bert.")}
    assert token - encoder == {"classifier.weight", "classifier.bias"}
    assert sequence - token == {"bert.pooler.dense.weight", "bert.pooler.dense.bias"}
    assert word - encoder == {
        "cls.predictions.bias",
        "cls.predictions.transform.dense.weight",
        "cls.predictions.transform.dense.bias",
        "cls.predictions.transform.LayerNorm.weight",
        "cls.predictions.transform.LayerNorm.bias",
    }


def test_the_decoder_is_the_table_of_word_embeddings(make_model, make_batch):
    """So the table's gradient is the sum of both uses: as table and as decoder."""
    model, batch = make_model("word"), make_batch([4, 7, 1], "word")
    table = model.bert.embeddings.word_embeddings
    both = gradients(model.loss(batch))[table.weight]
    decoder = model.cls.predictions.decoder
    assert decoder.weight is table.weight
    decoder.weight = type(table.weight)(table.weight.data)  # the same numbers, untied
    untied = gradients(model.loss(batch))
    np.testing.assert_allclose(both, untied[table.weight] + untied[decoder.weight], rtol=1e-10)


def test_only_labelled_tokens_are_decoded(make_model, make_batch):
    model, batch = make_model("word"), make_batch([10, 10, 10], "word")
    labels = np.full(30, -100)
    labels[[3, 17]] = 5
    decoded = []
    predict = model.cls.predictions.forward
    model.cls.predictions.forward = lambda h: decoded.append(h.shape) or predict(h)
    model.loss(replace(batch, labels=labels))
    assert decoded == [(2, 8)]


def test_the_classifiers_config_names_the_labels(make_model):
    assert make_model("token").label_names == tuple(LABELS)
    assert make_model("token").config.label_names == tuple(LABELS)


def test_an_untied_decoder_is_refused(config):
    with pytest.raises(ConfigError, match="tie_word_embeddings is False; expected True"):
        BertForMaskedLM(replace(config, tie_word_embeddings=False), rng=None)


def test_a_batch_without_labels_has_no_loss(make_model, make_batch, per):
    with pytest.raises(DataError, match="the batch has no labels"):
        make_model(per).loss(make_batch([3]))


def test_a_batch_with_nothing_to_learn_has_no_loss(make_model, make_batch, per):
    batch = make_batch([3], per)
    with pytest.raises(DataError, match="n_targets is 0; expected at least one label"):
        make_model(per).loss(replace(batch, labels=np.full_like(batch.labels, -100)))


@pytest.mark.parametrize("wrong", [-1, 23, -99])
def test_a_label_that_is_no_class_is_refused_with_its_place(make_model, make_batch, per, wrong):
    batch = make_batch([3, 4], per)
    batch.labels[1] = wrong
    with pytest.raises(DataError, match=f"label {wrong} at .* 1 of the batch; this model has"):
        make_model(per).loss(batch)


def test_labels_that_are_no_integers_are_refused(make_model, make_batch, per):
    batch = make_batch([3, 4], per)
    with pytest.raises(DataError, match="labels are float64; class numbers are integers"):
        make_model(per).loss(replace(batch, labels=batch.labels.astype(float)))


@pytest.mark.parametrize(("head", "other"), [("token", "sequence"), ("sequence", "token")])
def test_labels_of_the_other_kind_are_refused(make_model, make_batch, head, other):
    with pytest.raises(ShapeError, match=rf"this model wants one per {head}"):
        make_model(head).loss(make_batch([3, 4], other))


@pytest.mark.parametrize("labels", [[], ["O"], ["O", "O"], ["O", ""], "OB", [1, 2], [1, 1, 2]])
def test_labels_that_cannot_be_told_apart_are_refused(config, labels):
    with pytest.raises(ConfigError, match=r"labels: got .*; expected"):
        BertForTokenClassification(config, labels=labels, rng=None)


@given(st.lists(st.text(min_size=1), min_size=2, unique=True))
def test_all_other_labels_are_taken_as_they_are(names):
    assert checked_labels(names) == tuple(names)
