"""The student learns."""

from dataclasses import replace

import numpy as np
import pytest
from small_teacher import PLAN

from distil.start import start
from distil.student import Distillation
from distil.teach import endless, missed, teach
from distil.teacher import hidden_states


@pytest.fixture
def learn(school, teacher):
    """learn(pieces=2000, held_out=None): a student that has read so many, and its state."""

    def taught(held_out=None, **changes):
        rng, plan = np.random.default_rng(0), replace(PLAN, **changes)
        student, sample = school.student(), school.everything()
        start(student, teacher, school.pieces, sample, rng=rng)
        ids = school.tokenizer.vocab
        teach(student, sample, school.lessons, held_out, plan, ids=ids, rng=rng, threads=1)
        return student

    return taught


@pytest.fixture
def misses(school):
    """misses(student): the shares, given the best maps from its states."""

    def shares(student):
        task = Distillation(student, school.lessons, mlm=0.0, rng=np.random.default_rng(1))
        task.fit(school.everything())
        return missed(task, threads=1)

    return shares


def test_a_few_thousand_pieces_teach_the_student_more_of_the_teacher(learn, misses):
    before, after = misses(learn(pieces=0)), misses(learn(pieces=6000))
    assert (after[:2] < 0.8 * before[:2]).all()


def masked_lm_loss(student, school):
    """Of every third piece, masked; the mean, in nats."""
    batch = school.everything()
    at = np.arange(1, batch.n_tokens, 3)
    ids, labels = batch.input_ids.copy(), np.full(batch.n_tokens, -100)
    ids[at], labels[at] = school.tokenizer.vocab["[MASK]"], batch.input_ids[at]
    return student.loss(replace(batch, input_ids=ids, labels=labels)).item()


def test_the_masked_lm_head_learns_beside_it(learn, school):
    asked = masked_lm_loss(learn(pieces=6000, mlm=0.3), school)
    not_asked = masked_lm_loss(learn(pieces=6000, mlm=0.0), school)
    assert asked < not_asked - 0.5


@pytest.mark.parametrize("threads", [1, 2])
def test_the_share_that_is_missed_is_the_mean_squared_error_of_all_pieces(school, threads):
    task = Distillation(school.student(), school.lessons, mlm=0.0, rng=np.random.default_rng(1))
    batch = school.everything()
    *states, last = (h.data for h in hidden_states(task.student.bert, batch)[1:])
    targets = school.states.rows[school.lessons.rows].astype(np.float64)  # (T, layers, D)
    expected = [
        np.square(p.weight.data @ h.T - targets[:, l].T).mean()
        for l, (p, h) in enumerate(zip(task.words, (*states, last), strict=True))
    ]
    np.testing.assert_allclose(missed(task, threads)[:2], expected, rtol=1e-3)


def test_a_look_at_held_out_texts_changes_nothing(learn, school):
    one, other = learn(pieces=600), learn(pieces=600, held_out=school.lessons)
    for name, array in one.state_dict().items():
        np.testing.assert_array_equal(other.state_dict()[name], array, err_msg=name)


def test_as_many_pieces_are_read_as_planned(learn, monkeypatch):
    sizes = []

    def step(task, batch, *args, **options):
        sizes.append(batch.n_tokens)

    monkeypatch.setattr("distil.teach.train_step", step)
    learn(pieces=2000, batch_pieces=100)
    assert 2000 <= sum(sizes) < 2000 + sizes[-1]
    assert np.mean(sizes) == pytest.approx(100, abs=15)


def test_the_rate_rises_over_the_warmup_and_then_falls(learn, monkeypatch):
    factors = []

    def step(task, batch, optimizer, **options):
        factors.append(optimizer.factor)

    monkeypatch.setattr("distil.teach.train_step", step)
    learn(pieces=4000, batch_pieces=50, warmup=0.25)
    top = int(np.argmax(factors))
    assert top / len(factors) == pytest.approx(0.25, abs=0.03)
    assert (np.diff(factors[: top + 1]) > 0).all()
    assert (np.diff(factors[top:]) < 0).all()
    assert max(factors) == pytest.approx(1, abs=0.05)
    assert factors[-1] < 0.05


def test_pass_follows_pass(school, rng):
    batches = endless(school.lessons, 200, rng)
    n = len(school.lessons.ids)
    read = np.concatenate([next(batches).labels for _ in range(2 * n // 200)])
    assert set(np.bincount(read, minlength=n)) <= {1, 2}
    assert len(read) > 1.5 * n
