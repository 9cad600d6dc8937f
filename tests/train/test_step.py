import math
import threading
import tracemalloc

import numpy as np
import pytest

from minilora.errors import DataError, DivergenceError
from minilora.nn import Module, Parameter, training
from minilora.text import Batch
from minilora.train import SGD, AdamW, loss_and_gradients, train_step
from minilora.train.diverge import first_non_finite

WHOLE = 10**9  # chunk_tokens that no batch here reaches
CLOSE = {np.float32: 1e-6, np.float64: 1e-12}


@pytest.fixture
def batch(ner_data):
    return ner_data(13, 3).batch(range(13))


@pytest.fixture(params=CLOSE, ids=lambda dtype: dtype.__name__)
def dtype(request):
    return request.param


def named(model, grads):
    names = {p: name for name, p in model.named_parameters()}
    return {names[p]: grad for p, grad in grads.items()}


def assert_close(a, b, dtype):
    """All entries differ by rounding only, measured by the largest: some are 0 but for rounding."""
    assert a.keys() == b.keys()
    scale = max(np.abs(grad).max() for grad in a.values())
    for name in a:
        np.testing.assert_allclose(a[name], b[name], rtol=0, atol=CLOSE[dtype] * scale)


@pytest.mark.parametrize("threads", [1, 2, 5, 100])
@pytest.mark.parametrize("chunk_tokens", [WHOLE, 24, 1])
def test_sharded_and_chunked_is_whole(tagger, batch, dtype, threads, chunk_tokens):
    model = tagger(dtype)
    loss, grads = loss_and_gradients(model, batch, threads=1, chunk_tokens=WHOLE)
    parts_loss, parts = loss_and_gradients(model, batch, threads=threads, chunk_tokens=chunk_tokens)
    assert math.isclose(loss, parts_loss, rel_tol=CLOSE[dtype])
    assert_close(named(model, grads), named(model, parts), dtype)


def watch_chunks(model, monkeypatch):
    """The batches that ``model`` is given from now on, with the thread that gave them."""
    seen, loss = [], type(model).loss

    def watched(self, batch, **options):
        seen.append((threading.get_ident(), batch))
        return loss(self, batch, **options)

    monkeypatch.setattr(type(model), "loss", watched)
    return seen


def test_each_thread_takes_its_shard_chunk_by_chunk(tagger, batch, monkeypatch):
    model = tagger()
    seen = watch_chunks(model, monkeypatch)
    loss_and_gradients(model, batch, threads=2, chunk_tokens=20)
    assert all(part.n_tokens <= 20 for _, part in seen)
    assert sum(part.n_sequences for _, part in seen) == batch.n_sequences
    by_thread = [[p.n_tokens for t, p in seen if t == thread] for thread, _ in seen]
    assert all(len(sizes) > 1 for sizes in by_thread)
    assert len({thread for thread, _ in seen}) == 2


def test_memory_is_bounded_by_the_chunk_and_not_by_the_batch(tagger, ner_data):
    model = tagger()
    model.freeze()
    model.bert.encoder.layer[0].attention.self.query.weight.requires_grad_()

    def peak(n_sequences, chunk_tokens):
        batch = ner_data(n_sequences, 3).batch(range(n_sequences))
        tracemalloc.start()
        loss_and_gradients(model, batch, threads=1, chunk_tokens=chunk_tokens)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return peak

    peak(20, WHOLE)  # what is made once
    whole, chunked = (peak(200, n) - peak(20, n) for n in (WHOLE, 32))
    assert chunked < whole / 20  # of 180 more sequences only their ids are held


def test_the_loss_and_its_gradients_are_those_of_backward(tagger, batch):
    model = tagger(np.float64)
    loss, grads = loss_and_gradients(model, batch, threads=3, label_smoothing=0.1)
    whole = model.loss(batch, label_smoothing=0.1)
    whole.backward()
    expected = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
    assert math.isclose(loss, whole.item(), rel_tol=1e-12)
    assert_close(expected, named(model, grads), np.float64)


def test_sequence_labels_shard_as_well(classifier, topic_data):
    model, batch = classifier(np.float64), topic_data(7, 1).batch(range(7))
    loss, grads = loss_and_gradients(model, batch, threads=3)
    whole = model.loss(batch)
    whole.backward()
    expected = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
    assert math.isclose(loss, whole.item(), rel_tol=1e-12)
    assert_close(expected, named(model, grads), np.float64)


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("chunk_tokens", [WHOLE, 16])
def test_the_same_number_of_threads_gives_the_same_bits(tagger, batch, threads, chunk_tokens):
    results = []
    for _ in range(3):
        model = tagger(dropout=0.2)
        optimizer = AdamW([p for _, p in model.named_parameters()], lr=1e-2)
        rng = np.random.default_rng(5)
        losses = [
            train_step(model, batch, optimizer, threads=threads, rng=rng, chunk_tokens=chunk_tokens)
            for _ in range(3)
        ]
        results.append((losses, model.state_dict()))
    first_losses, first = results[0]
    for losses, parameters in results[1:]:
        assert losses == first_losses
        assert all(np.array_equal(parameters[name], first[name]) for name in first)


@pytest.mark.parametrize(
    "cut", [{"threads": 2}, {"threads": 1, "chunk_tokens": 1}], ids=["shard", "chunk"]
)
def test_dropout_drops_only_with_random_numbers_and_differently_by(cut, tagger, batch):
    model = tagger(np.float64, dropout=0.3)
    plain, _ = loss_and_gradients(model, batch, **cut)
    assert plain == loss_and_gradients(model, batch, **cut)[0]
    twins = Batch.pack([encoding_of(batch, 0)] * 2, [batch.select([0]).labels] * 2)
    losses = {
        loss_and_gradients(model, twins, **cut, rng=np.random.default_rng(s))[0] for s in range(4)
    }
    assert len(losses) == 4
    half = twins.select([0])
    seed = int(np.random.default_rng(0).integers(1 << 63))
    with training(np.random.default_rng(seed)):
        same_in_both = model.loss(half).item()
    both = loss_and_gradients(model, twins, **cut, rng=np.random.default_rng(0))[0]
    assert not math.isclose(both, same_in_both, rel_tol=1e-6)


def encoding_of(batch, n):
    """Sequence ``n`` of a batch, as far as Batch.pack looks at an encoding."""
    part = batch.select([n])

    class Sequence:
        input_ids, token_type_ids = part.input_ids, part.token_type_ids

        def __len__(self):
            return part.n_tokens

    return Sequence()


def test_a_step_returns_the_loss_before_it_and_lowers_it(tagger, batch):
    model = tagger(np.float64)
    optimizer = SGD([p for _, p in model.named_parameters()], lr=0.01)
    before = model.loss(batch).item()
    assert math.isclose(train_step(model, batch, optimizer, threads=2), before, rel_tol=1e-12)
    assert model.loss(batch).item() < before


def test_each_gradient_has_an_array_of_its_own(batch):
    class Sum(Module):  # the tape lends both inputs of a sum the same array
        def __init__(self):
            self.a, self.b = Parameter(np.ones(3)), Parameter(np.ones(3))

        def loss(self, batch, *, n_targets, label_smoothing):
            return (self.a + self.b).sum()

    model = Sum()
    _, grads = loss_and_gradients(model, batch, threads=1)
    grads[model.a] *= 5
    np.testing.assert_array_equal(grads[model.b], np.ones(3))


def test_a_step_forgets_old_gradients_and_leaves_none(tagger, batch):
    models = [tagger(np.float64) for _ in range(2)]
    for model, stale in zip(models, (None, 100.0), strict=True):
        parameters = [p for _, p in model.named_parameters()]
        for p in parameters:
            p.grad = None if stale is None else np.full(p.shape, stale)
        train_step(model, batch, SGD(parameters, lr=0.1), threads=1)
        assert all(p.grad is None for p in parameters)
    a, b = (model.state_dict() for model in models)
    assert all(np.array_equal(a[name], b[name]) for name in a)


def test_clipping_bounds_the_step(tagger, batch):
    model = tagger(np.float64)
    before = {name: a.copy() for name, a in model.state_dict().items()}
    optimizer = SGD([p for _, p in model.named_parameters()], lr=1.0)
    train_step(model, batch, optimizer, threads=2, clip=1e-3)
    moved = sum(np.square(a - before[name]).sum() for name, a in model.state_dict().items())
    assert math.isclose(math.sqrt(moved), 1e-3, rel_tol=1e-2)


def test_frozen_parameters_stay(tagger, batch):
    model = tagger()
    model.freeze()
    model.classifier.weight.requires_grad_()
    before = {name: a.copy() for name, a in model.state_dict().items()}
    train_step(model, batch, SGD([model.classifier.weight], lr=1.0), threads=2)
    changed = [n for n, a in model.state_dict().items() if not np.array_equal(a, before[n])]
    assert changed == ["classifier.weight"]


def test_a_batch_without_labels_is_refused(tagger, ner_data):
    data = ner_data(2, 1)
    batch = Batch.pack(data.encodings)
    model = tagger()
    with pytest.raises(DataError, match="the batch has no labels"):
        train_step(model, batch, SGD([model.classifier.bias], lr=1.0))


def test_a_batch_with_nothing_to_learn_has_loss_zero_and_changes_nothing(tagger, batch):
    model = tagger()
    nothing = Batch(
        batch.input_ids, batch.position_ids, batch.token_type_ids, batch.offsets,
        np.full(batch.n_tokens, -100),
    )  # fmt: skip
    before = {name: a.copy() for name, a in model.state_dict().items()}
    optimizer = SGD([p for _, p in model.named_parameters()], lr=1.0)
    assert train_step(model, nothing, optimizer, threads=2) == 0.0
    assert all(np.array_equal(a, before[name]) for name, a in model.state_dict().items())


def poison(array):
    array.flat[0] = np.nan


def test_a_loss_that_is_no_number_names_step_rate_and_module_and_changes_nothing(tagger, batch):
    model = tagger()
    optimizer = AdamW([p for _, p in model.named_parameters()], lr=0.25)
    optimizer.factor = 0.5
    train_step(model, batch, optimizer, threads=2)
    poison(model.bert.encoder.layer[1].intermediate.dense.bias.data)
    before = {name: a.copy() for name, a in model.state_dict().items()}
    with pytest.raises(DivergenceError) as caught:
        train_step(model, batch, optimizer, threads=2)
    message = str(caught.value)
    assert message.startswith("train_step: step 2, learning rate 0.125: the loss is nan")
    assert "first seen in bert.encoder.layer.1.intermediate.dense." in message
    assert "Lower the learning rate" in message
    np.testing.assert_equal(model.state_dict(), before)
    assert all(p.grad is None for _, p in model.named_parameters())


def test_a_gradient_that_overflows_is_named_and_changes_nothing(tagger, batch, monkeypatch):
    model = tagger()
    optimizer = SGD([p for _, p in model.named_parameters()], lr=0.1)
    before = {name: a.copy() for name, a in model.state_dict().items()}
    module, weight = "minilora.train.step", model.classifier.weight
    monkeypatch.setattr(
        f"{module}.gradients",
        lambda loss, into: into.update({weight: np.full(weight.shape, np.inf)}),
    )
    with pytest.raises(DivergenceError, match=r"the gradient of classifier\.weight is not finite"):
        train_step(model, batch, optimizer, threads=2)
    np.testing.assert_equal(model.state_dict(), before)


def test_an_update_that_overflows_is_named(tagger, batch):
    model = tagger()
    optimizer = SGD([p for _, p in model.named_parameters()], lr=1e40)
    with pytest.raises(DivergenceError, match=r"step 1, .*word_embeddings\.weight is not finite"):
        train_step(model, batch, optimizer, threads=2)


def test_the_search_for_a_bad_module_leaves_the_model_as_it_was(tagger, batch):
    model = tagger()
    poison(model.bert.embeddings.word_embeddings.weight.data[4:])
    assert first_non_finite(model, lambda: model(batch)) == "bert.embeddings.word_embeddings"
    assert all("forward" not in vars(module) for _, module in model.named_modules())


def test_a_model_whose_outputs_are_all_finite_has_no_bad_module(tagger, batch):
    model = tagger()
    assert first_non_finite(model, lambda: model(batch)) is None
