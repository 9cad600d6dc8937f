"""The student starts where least squares puts it."""

from dataclasses import replace

import numpy as np
import pytest
from small_teacher import PLAN

from distil import start as module
from distil.start import common_basis, fit_linear, fit_norm, look_inside, set_embeddings, start
from distil.student import Distillation
from distil.teach import missed
from distil.teacher import hidden_states
from minilora import Batch, BertModel, Tensor
from minilora.nn.layers import LayerNorm, Linear


@pytest.fixture
def batch(teacher_tokenizer):
    """Some sentences in the teacher's pieces."""
    return Batch.pack([teacher_tokenizer(t) for t in ("the old train", "Bela sold it!", "quuing")])


@pytest.fixture
def no_ridge(monkeypatch):
    monkeypatch.setattr(module, "RIDGE", 0.0)


def blank(O, I):
    return Linear(np.zeros((O, I)), np.zeros(O))


def test_a_planted_affine_map_is_found(rng, no_ridge):
    x, W, b = rng.standard_normal((50, 7)) + 3, rng.standard_normal((4, 7)), rng.standard_normal(4)
    linear = blank(4, 7)
    fit_linear(linear, x, x @ W.T + b)
    np.testing.assert_allclose(linear.weight.data, W, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(linear.bias.data, b, rtol=1e-9, atol=1e-9)


def test_what_is_no_affine_map_is_met_as_least_squares_does(rng, no_ridge):
    x, y = rng.standard_normal((50, 7)), rng.standard_normal((50, 3))
    linear = blank(3, 7)
    fit_linear(linear, x, y)
    with_ones = np.hstack([x, np.ones((50, 1))])
    expected = np.linalg.lstsq(with_ones, y)[0]
    np.testing.assert_allclose(linear.weight.data, expected[:-1].T, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(linear.bias.data, expected[-1], rtol=1e-9, atol=1e-9)


def test_directions_that_hardly_occur_make_no_large_map(rng):
    x = rng.standard_normal((200, 4)) * [1, 1, 1, 1e-6]
    y = rng.standard_normal((200, 2))
    linear = blank(2, 4)
    fit_linear(linear, x, y)
    assert np.abs(linear.weight.data).max() < 1
    assert np.abs(np.linalg.lstsq(x - x.mean(axis=0), y)[0]).max() > 1e3


def test_the_ridge_costs_a_planted_map_next_to_nothing(rng):
    x, W = rng.standard_normal((500, 6)), rng.standard_normal((3, 6))
    linear = blank(3, 6)
    fit_linear(linear, x, x @ W.T)
    np.testing.assert_allclose(linear.weight.data, W, rtol=5e-3, atol=5e-3)


def test_a_planted_layer_norm_is_found(rng):
    planted = LayerNorm(rng.standard_normal(6), rng.standard_normal(6), eps=1e-12)
    found = LayerNorm(np.ones(6), np.zeros(6), eps=1e-12)
    x = 5 * rng.standard_normal((40, 6)) + 2
    fit_norm(found, x, planted(Tensor(x)).data)
    np.testing.assert_allclose(found.weight.data, planted.weight.data, rtol=1e-9)
    np.testing.assert_allclose(found.bias.data, planted.bias.data, rtol=1e-9)


def test_what_is_seen_inside_is_what_the_teacher_computes(teacher, batch):
    first, inside = look_inside(teacher, batch, 3)
    states = [h.data for h in hidden_states(teacher, batch)]
    np.testing.assert_array_equal([first, *(layer.out for layer in inside)], states)
    for h, layer, seen in zip(states, teacher.encoder.layer, inside, strict=False):
        for name in ("query", "key", "value"):
            weights = getattr(layer.attention.self, name)
            expected = h @ weights.weight.data.T + weights.bias.data
            np.testing.assert_allclose(getattr(seen, name), expected, rtol=1e-4, atol=1e-4)
        half = layer.attention(Tensor(h), batch.offsets).data
        np.testing.assert_allclose(seen.attended, half, rtol=1e-5, atol=1e-5)
        assert seen.context.shape == h.shape
        assert seen.neurons.shape == (len(h), 96)


def test_only_as_many_layers_are_seen_as_the_student_has(teacher, batch):
    assert len(look_inside(teacher, batch, 2)[1]) == 2


def test_the_basis_holds_the_directions_of_most_variance(rng):
    states = [rng.standard_normal((300, 9)) * np.arange(1, 10) + n for n in range(3)]
    B, seen = common_basis(states, 4)
    assert B.shape == (9, 4)
    for h, s in zip(states, seen, strict=True):
        np.testing.assert_allclose(s, (h - h.mean(axis=0)) @ B, rtol=1e-9, atol=1e-9)
    together = np.concatenate(seen)
    covariance = together.T @ together
    off = covariance - np.diag(np.diag(covariance))
    assert np.abs(off).max() < 1e-9 * covariance.max()
    assert (np.diff(np.diag(covariance)) <= 0).all()

    # every feature counts as if its deviation were 1
    scaled = np.concatenate([h - h.mean(axis=0) for h in states])
    scaled /= scaled.std(axis=0)
    largest = np.linalg.eigvalsh(scaled.T @ scaled)[::-1][:4]
    np.testing.assert_allclose(np.diag(covariance), largest, rtol=1e-9)


def test_pieces_start_as_the_teachers_capitals_moved_one_way(school, teacher, rng):
    student, B = school.student(), rng.standard_normal((64, 32))
    set_embeddings(student, teacher, school.pieces, B, rng)
    tables = student.bert.embeddings
    theirs = teacher.embeddings
    moved = tables.word_embeddings.weight.data - (
        theirs.word_embeddings.weight.data[list(school.pieces.values())] @ B
    )
    upper = np.array([any(c.isupper() for c in p) and p[0] != "[" for p in school.pieces])
    assert 0 < upper.sum() < len(upper)
    np.testing.assert_allclose(moved[~upper], 0, atol=1e-4)
    np.testing.assert_allclose(moved[upper], np.tile(moved[upper][0], (upper.sum(), 1)), atol=1e-4)
    assert np.linalg.norm(moved[upper][0]) > 0.1
    np.testing.assert_allclose(
        tables.position_embeddings.weight.data,
        theirs.position_embeddings.weight.data[: PLAN.positions] @ B,
        atol=1e-4,
    )


def understood(school, student, teacher, *, started):
    """What is missed of the teacher, given the best maps from the student's states."""
    batch = school.everything()
    if started:
        start(student, teacher, school.pieces, batch, rng=np.random.default_rng(0))
    task = Distillation(student, school.lessons, mlm=0.0, rng=np.random.default_rng(1))
    task.fit(batch)
    return missed(task, threads=1)


def test_a_started_student_misses_much_less_than_a_random_one(school, teacher):
    fresh = understood(school, school.student(), teacher, started=False)
    ready = understood(school, school.student(), teacher, started=True)
    assert (ready[:2] < 0.6 * fresh[:2]).all()


@pytest.fixture
def half_dead(teacher_dir):
    """A teacher half of whose heads and neurons, others in each layer, move nothing."""
    teacher = BertModel.from_pretrained(teacher_dir, add_pooling_layer=False)
    for n, layer in enumerate(teacher.encoder.layer):
        layer.attention.output.dense.weight.data[:, places(64, 32, n % 2)] = 0
        layer.output.dense.weight.data[:, places(96, 3, n % 2)] = 0
    return teacher


def places(n, width, odd):
    """Every other group of ``width`` of n places."""
    return np.flatnonzero(np.arange(n) // width % 2 == odd)


def test_heads_and_neurons_that_move_nothing_are_left_out(school, half_dead):
    student, batch = school.student(), school.everything()
    start(student, half_dead, school.pieces, batch, rng=np.random.default_rng(0))
    ids = np.array(list(school.pieces.values()))
    _, inside = look_inside(half_dead, replace(batch, input_ids=ids[batch.input_ids]), 2)
    layers = student.bert.encoder.layer
    for n, (h, layer, seen) in enumerate(
        zip(hidden_states(student.bert, batch), layers, inside, strict=False)
    ):
        value = layer.attention.self.value(h).data
        attended = layer.attention(h, batch.offsets)
        neurons = layer.intermediate.dense(attended).data
        for mine, theirs, width in ((value, seen.value, 32), (neurons, seen.neurons, 3)):
            dead, alive = (
                np.square(mine - theirs[:, places(theirs.shape[1], width, odd)]).mean()
                for odd in (n % 2, 1 - n % 2)
            )
            assert alive < 0.8 * dead
