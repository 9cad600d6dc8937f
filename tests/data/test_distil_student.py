"""What is asked of the student: the loss by hand, its gradients, and what is masked."""

from dataclasses import replace

import numpy as np
import pytest

from distil import student as module
from distil.student import Distillation, mask
from distil.teacher import hidden_states
from minilora import gradcheck
from minilora.nn.module import Parameter

MLM = 0.7


@pytest.fixture
def task(school, rng):
    """What a fresh student is asked, in float64."""
    task = Distillation(
        school.student(dtype=np.float64), school.lessons, mlm=MLM, rng=np.random.default_rng(1)
    )
    for _, parameter in task.named_parameters():
        noise = 0.1 * rng.standard_normal(parameter.shape)
        parameter.data = parameter.data.astype(np.float64) + noise
    return task


@pytest.fixture
def batch(school):
    return school.lessons.batch(np.array([4, 0, 9]))


@pytest.fixture
def hide(school):
    """hide(batch, [2, 5]): with [MASK] at these places."""

    def hidden(batch, places):
        ids = batch.input_ids.copy()
        ids[places] = school.tokenizer.vocab["[MASK]"]
        return replace(batch, input_ids=ids)

    return hidden


def affine(linear, x):
    return x @ linear.weight.data.T + linear.bias.data


def by_hand(task, batch, masked):
    """The formula of `Distillation`, text by text and piece by piece."""
    lessons, student = task.lessons, task.student
    *_, first, second = (h.data for h in hidden_states(student.bert, batch))
    rows = lessons.states[lessons.rows[batch.labels]].astype(float)  # (T, layers, D)
    words = [
        np.square(affine(project, h) - rows[:, l]).mean(axis=1)  # (T,)
        for l, (project, h) in enumerate(zip(task.words, (first, second), strict=True))
    ]
    texts = []
    for start, end in zip(batch.offsets, batch.offsets[1:], strict=False):
        pooled = np.tanh(affine(student.bert.pooler.dense, second[start]))
        meaning = rows[start:end, -1].mean(axis=0)
        error = np.square(affine(task.sentence, pooled) - meaning).mean()
        texts += [error] * (end - start)  # each piece counts its text's
    logits, guesses = student(batch).data, []
    for t in masked:
        chance = np.exp(logits[t] - logits[t].max())
        guesses.append(-np.log(chance[lessons.ids[batch.labels[t]]] / chance.sum()))
    return np.mean(words) + np.mean(texts) + MLM * np.sum(guesses) / batch.n_tokens


def test_the_loss_is_the_formula_where_nothing_is_masked(task, batch):
    assert task.loss(batch).item() == pytest.approx(by_hand(task, batch, []), rel=1e-6)


def test_the_loss_is_the_formula_where_pieces_are_masked(task, batch, hide):
    masked = [2, 3, 11]
    hidden = hide(batch, masked)
    assert task.loss(hidden).item() == pytest.approx(by_hand(task, hidden, masked), rel=1e-6)
    assert by_hand(task, hidden, masked) > by_hand(task, hidden, []) + 0.01


def test_the_loss_is_divided_by_what_it_is_told_to_be(task, batch, hide):
    hidden = hide(batch, [2, 3])
    shares = task.loss(hidden).item() * batch.n_tokens / 1000
    assert task.loss(hidden, n_targets=1000).item() == pytest.approx(shares, rel=1e-9)


def test_its_gradients_are_right(task, batch, hide):
    hidden = hide(batch, [2, 3, 11])
    places = [
        (m, name, value)
        for _, m in task.named_modules()
        for name, value in vars(m).items()
        if isinstance(value, Parameter)
    ]
    starts = {id(value): value.data for *_, value in places}

    def loss(*leaves):
        new = dict(zip(starts, leaves, strict=True))
        for m, name, value in places:
            setattr(m, name, new[id(value)])
        return task.loss(hidden)

    assert gradcheck(loss, *starts.values()) < 1e-6


def test_everything_learns_but_the_masked_lm_head_where_nothing_is_masked(task, batch, hide):
    task.loss(batch).backward()
    idle = {name for name, p in task.named_parameters() if p.grad is None}
    assert idle == {name for name, _ in task.named_parameters() if ".cls.predictions." in name}
    task.loss(hide(batch, [2])).backward()
    assert all(p.grad is not None for _, p in task.named_parameters())


def test_parts_of_a_batch_add_up_to_its_loss(task, school, hide):
    whole = school.everything()
    assert len(set(whole.lengths)) > 1
    whole = hide(whole, [1, 4, whole.n_tokens - 2])
    parts = whole.shards(3)
    assert len(parts) == 3
    added = sum(task.loss(part, n_targets=whole.n_targets).item() for part in parts)
    assert added == pytest.approx(task.loss(whole).item(), rel=1e-9)


def test_the_maps_of_words_start_where_nothing_can_be_gained(task, school, monkeypatch):
    monkeypatch.setattr("distil.start.RIDGE", 0.0)
    batch = school.everything()

    def words():
        return [e.item() for e in task.missed(hidden_states(task.student.bert, batch), batch)[:2]]

    before = words()
    task.fit(batch)
    best = words()
    assert all(b < a for a, b in zip(before, best, strict=True))
    for project in task.words:
        project.weight.data *= 1.01
    assert all(b < a for a, b in zip(words(), best, strict=True))


def test_a_student_comes_with_pooler_and_masked_lm_head(school):
    names = {name for name, _ in school.student().named_parameters()}
    assert {"bert.pooler.dense.weight", "cls.predictions.bias"} <= names


class TestMask:
    @pytest.fixture
    def whole(self, school):
        return school.everything()

    @pytest.fixture
    def ids(self, school):
        return school.tokenizer.vocab

    def test_hides_neither_cls_nor_sep(self, whole, ids, rng, monkeypatch):
        monkeypatch.setattr(module, "MASKED_TEXTS", 1.0)
        monkeypatch.setattr(module, "MASKED_PIECES", 1.0)
        hidden = mask(whole, ids, rng).input_ids
        frame = np.isin(whole.input_ids, [ids["[CLS]"], ids["[SEP]"]])
        np.testing.assert_array_equal(hidden[frame], whole.input_ids[frame])
        assert (hidden[~frame] == ids["[MASK]"]).all()

    def test_hides_pieces_of_chosen_texts_only(self, whole, ids, rng, monkeypatch):
        monkeypatch.setattr(module, "MASKED_PIECES", 1.0)
        hidden = mask(whole, ids, rng).input_ids == ids["[MASK]"]
        per_text = np.add.reduceat(hidden, whole.offsets[:-1], dtype=int)
        assert set(per_text - whole.lengths) <= {-2} | set(-whole.lengths)
        assert 0.3 < np.mean(per_text > 0) < 0.7

    def test_hides_the_share_of_pieces_that_bert_does(self, school, ids, rng, monkeypatch):
        monkeypatch.setattr(module, "MASKED_TEXTS", 1.0)
        many = school.lessons.batch(np.tile(np.arange(len(school.lessons.encodings)), 20))
        frames = 2 * many.n_sequences
        hidden = np.sum(mask(many, ids, rng).input_ids == ids["[MASK]"])
        assert hidden / (many.n_tokens - frames) == pytest.approx(0.15, abs=0.015)

    def test_changes_nothing_else(self, whole, ids, rng):
        before = whole.input_ids.copy()
        hidden = mask(whole, ids, rng)
        np.testing.assert_array_equal(whole.input_ids, before)
        changed = hidden.input_ids != before
        assert (hidden.input_ids[changed] == ids["[MASK]"]).all()
        for name in ("labels", "offsets", "position_ids", "token_type_ids"):
            assert getattr(hidden, name) is getattr(whole, name)

    def test_is_drawn_anew_each_time(self, whole, ids, rng):
        one, two = mask(whole, ids, rng).input_ids, mask(whole, ids, rng).input_ids
        assert (one != two).any()
