from types import SimpleNamespace

import numpy as np
import pytest

from minilora.adapters import LoraConfig, inject
from minilora.analysis import GradientRanks
from minilora.errors import ConfigError, TargetError
from minilora.nn import BertConfig, BertForSequenceClassification, Linear, Module, training
from minilora.text import Batch

QUERY = "bert.encoder.layer.0.attention.self.query"
SIZES = {
    "vocab_size": 30,
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 12,
    "max_position_embeddings": 16,
    "initializer_range": 0.5,
}


@pytest.fixture
def model(rng):
    config = BertConfig(**SIZES)
    return BertForSequenceClassification(config, labels=("a", "b"), rng=rng, dtype=np.float64)


@pytest.fixture
def batch(rng):
    lengths = [3, 2]
    return Batch(
        input_ids=rng.integers(0, 30, 5),
        position_ids=np.concatenate([np.arange(n) for n in lengths]),
        token_type_ids=np.zeros(5, np.int64),
        offsets=np.cumsum([0, *lengths]),
        labels=np.array([0, 1]),
    )


def stepped(n):
    return SimpleNamespace(step=n)


def numerical_gradient(model, weight, batch, eps=1e-6):
    G = np.zeros(weight.shape)
    for at in np.ndindex(weight.shape):
        for sign in (1, -1):
            weight.data[at] += sign * eps
            G[at] += sign * model.loss(batch).item() / (2 * eps)
            weight.data[at] -= sign * eps
    return G


def test_the_gradient_of_a_frozen_weight_is_measured(model, batch, rng):
    inject(model, LoraConfig(r=2), rng=rng)
    weight = dict(model.named_parameters())[f"{QUERY}.weight"]
    ranks = GradientRanks(model, batch, r=2)
    ranks(stepped(1))
    record = ranks.records[0]
    S = np.linalg.svd(numerical_gradient(model, weight, batch), compute_uv=False)
    assert record.path == QUERY
    assert record.frobenius == pytest.approx(np.linalg.norm(S), rel=1e-5)
    assert record.stable_rank == pytest.approx(np.sum(S**2) / S[0] ** 2, rel=1e-5)
    assert record.share == pytest.approx(np.sum(S[:2] ** 2) / np.sum(S**2), rel=1e-5)


def test_the_rank_is_at_most_the_number_of_tokens(model, batch):
    ranks = GradientRanks(model, batch, paths=[QUERY, "classifier"])
    ranks.measure(0)
    by_path = {record.path: record.numerical_rank for record in ranks.records}
    model.loss(batch).backward()
    gradient = dict(model.named_parameters())[f"{QUERY}.weight"].grad
    assert by_path[QUERY] == np.linalg.matrix_rank(gradient) <= 5
    assert by_path["classifier"] == 1  # two classes: their gradients are opposite


def test_training_is_not_disturbed(model, batch, rng):
    inject(model, LoraConfig(r=2, modules_to_save=["classifier"]), rng=rng)
    before = {n: (p.requires_grad, p.data.copy()) for n, p in model.named_parameters()}
    GradientRanks(model, batch)(stepped(1))
    for name, parameter in model.named_parameters():
        trained, data = before[name]
        assert parameter.requires_grad == trained
        assert parameter.grad is None
        np.testing.assert_array_equal(parameter.data, data)


def test_weights_are_frozen_again_after_an_error(model, batch, rng):
    inject(model, LoraConfig(r=2), rng=rng)
    ranks = GradientRanks(model, SimpleNamespace())
    with pytest.raises(AttributeError):
        ranks.measure(0)
    assert not dict(model.named_parameters())[f"{QUERY}.weight"].requires_grad


def test_dropout_does_not_blur_the_measure(rng, batch):
    config = BertConfig(**SIZES, hidden_dropout_prob=0.5)
    model = BertForSequenceClassification(config, labels=("a", "b"), rng=rng, dtype=np.float64)
    ranks = GradientRanks(model, batch, paths=[QUERY])
    ranks.measure(0)
    ranks.measure(0)
    assert ranks.records[0] == ranks.records[1]
    with training(rng):  # else nothing would have been dropped
        assert model.loss(batch).item() != model.loss(batch).item()


def test_by_default_it_looks_at_adapted_layers_or_at_what_is_trained(model, batch, rng):
    assert "classifier" in GradientRanks(model, batch).weights
    paths = inject(model, LoraConfig(r=2), rng=rng)
    assert list(GradientRanks(model, batch).weights) == paths


def test_it_measures_every_so_many_steps(model, batch):
    ranks = GradientRanks(model, batch, paths=["classifier"], every=3)
    for step in range(1, 8):
        ranks(stepped(step))
    assert [record.step for record in ranks.records] == [1, 4, 7]


def test_a_zero_gradient_has_no_rank(model, batch):
    dict(model.named_parameters())["classifier.weight"].data[:] = 0
    ranks = GradientRanks(model, batch, paths=[QUERY])
    ranks.measure(0)
    (record,) = ranks.records
    assert record.frobenius == record.share == record.numerical_rank == 0


def test_a_weight_the_loss_does_not_use_has_no_rank(model, batch):
    class TwoOfWhichOneCounts(Module):
        def __init__(self):
            self.used, self.idle = model, Linear(np.ones((3, 2)), None)

        def loss(self, batch):
            return self.used.loss(batch)

    ranks = GradientRanks(TwoOfWhichOneCounts(), batch, paths=["idle"])
    ranks.measure(0)
    assert ranks.records[0].frobenius == 0


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"paths": ["classifer"]}, TargetError, "Did you mean 'classifier'"),
        ({"paths": []}, ConfigError, "no matrix is trained"),
        ({"every": 0}, ConfigError, "every is 0"),
        ({"r": 0}, ConfigError, "r is 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(model, batch, options, error, says):
    with pytest.raises(error, match=says):
        GradientRanks(model, batch, **options)
