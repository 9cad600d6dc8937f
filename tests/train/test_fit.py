import dataclasses
import json
import math
import signal

import numpy as np
import pytest

from minilora.errors import CheckpointError, ConfigError, DataError, DivergenceError
from minilora.text import EncodingReport
from minilora.train import Trainer, TrainSettings, evaluate, fit, train_step
from minilora.train.schedule import linear

SHORT = TrainSettings(epochs=2, batch_size=4, lr=3e-3, threads=1)


def run(tagger, ner_data, settings=SHORT, *, n_train=18, dev=True, dropout=0.0, **options):
    model = tagger(dropout=dropout)
    history = fit(model, ner_data(n_train, 1), ner_data(8, 2) if dev else None, settings, **options)
    return model, history


def changed(settings=SHORT, **options):
    return dataclasses.replace(settings, **options)


def scores_of(*values):
    """A stand-in for evaluate() that gives these F1 scores, one after the other."""
    remaining = iter(values)
    return lambda *args, **options: {"loss": 1.0, "f1": next(remaining)}


def test_every_sequence_is_seen_once_an_epoch(tagger, ner_data):
    data = ner_data(18, 1)
    _, history = run(tagger, ner_data)
    assert len(history.steps) == 2 * 5  # 4 batches of 4 and one of 2
    for epoch in (history.steps[:5], history.steps[5:]):
        assert sum(record.n_tokens for record in epoch) == data.lengths.sum()


def test_batches_come_in_another_order_each_epoch_and_with_each_seed(tagger, ner_data):
    def tokens(seed):
        _, history = run(tagger, ner_data, changed(seed=seed))
        return [record.n_tokens for record in history.steps]

    assert tokens(0) == tokens(0)
    assert tokens(0)[:5] != tokens(0)[5:]
    assert tokens(0) != tokens(1)


def test_the_learning_rate_follows_the_schedule(tagger, ner_data):
    _, history = run(tagger, ner_data, changed(warmup_ratio=0.25))
    expected = [3e-3 * linear(step, 10, 3) for step in range(10)]  # 3 = ⌈0.25 · 10⌉
    assert [record.lr for record in history.steps] == pytest.approx(expected, rel=1e-12)
    assert history.steps[0].lr == 0.0


def test_chunks_take_the_same_steps(ner_data, tagger):
    models = []
    for chunk_tokens in (10_000, 8):
        model = tagger(np.float64)
        settings = changed(batch_size=8, chunk_tokens=chunk_tokens, warmup_ratio=0.0)
        history = fit(model, ner_data(18, 1), None, settings)
        assert len(history.steps) == 2 * 3
        models.append(model.state_dict())
    for name, array in models[0].items():
        np.testing.assert_allclose(models[1][name], array, rtol=0, atol=1e-7)


def test_a_record_ends_each_epoch(tagger, ner_data):
    _, history = run(tagger, ner_data)
    assert [(r.step, r.epoch) for r in history.epochs] == [(5, 1.0), (10, 2.0)]
    assert history.epochs[0].loss == pytest.approx(np.mean(history.losses[:5]))
    assert history.epochs[1].loss == pytest.approx(np.mean(history.losses[5:]))
    assert 0 < history.epochs[0].seconds < history.epochs[1].seconds


def test_dev_is_scored_every_so_many_steps_and_once_where_both_are_due(tagger, ner_data):
    _, history = run(tagger, ner_data, changed(eval_every=2))
    assert [record.step for record in history.epochs] == [2, 4, 5, 6, 8, 10]


def test_records_come_as_they_are_made_and_as_rows(tagger, ner_data):
    told = []
    _, history = run(tagger, ner_data, on_step=told.append, on_epoch=told.append)
    assert [record.to_json() for record in told] == history.rows()
    assert [row["step"] for row in history.rows()] == [1, 2, 3, 4, 5, 5, 6, 7, 8, 9, 10, 10]
    assert json.loads(json.dumps(history.rows(), allow_nan=False)) == history.rows()


def test_the_best_parameters_are_put_back(tagger, ner_data, monkeypatch):
    monkeypatch.setattr("minilora.train.trainer.evaluate", scores_of(0.1, 0.7, 0.7, 0.2))
    after = {}
    model = tagger()
    history = fit(
        model, ner_data(8, 1), ner_data(4, 2), changed(epochs=4),
        on_epoch=lambda r: after.update({r.epoch: [a.copy() for a in model.state_dict().values()]}),
    )  # fmt: skip
    assert history.best is history.epochs[1]
    assert [record.is_best for record in history.epochs] == [True, True, False, False]
    for array, best, last in zip(model.state_dict().values(), after[2.0], after[4.0], strict=True):
        np.testing.assert_array_equal(array, best)
        assert array.size < 100 or not np.array_equal(array, last)


def test_the_score_of_the_returned_model_is_the_best_one(tagger, ner_data):
    model, history = run(tagger, ner_data, changed(epochs=3))
    assert evaluate(model, ner_data(8, 2), threads=1) == history.best.dev


def test_a_low_loss_is_best_when_asked_for(tagger, ner_data, monkeypatch):
    losses = iter([0.5, 0.3, 0.4])
    monkeypatch.setattr(
        "minilora.train.trainer.evaluate", lambda *a, **o: {"loss": next(losses), "f1": 0.0}
    )
    _, history = run(tagger, ner_data, changed(epochs=3, metric="loss"))
    assert [record.is_best for record in history.epochs] == [True, True, False]


def test_without_dev_the_last_parameters_are_kept(tagger, ner_data):
    model, history = run(tagger, ner_data, dev=False)
    assert history.best is None
    assert [record.dev for record in history.epochs] == [None, None]
    twin, seen = tagger(), []
    fit(twin, ner_data(18, 1), None, SHORT, on_step=lambda r: seen.append(r.loss))
    assert seen == history.losses
    assert all(np.array_equal(a, model.state_dict()[n]) for n, a in twin.state_dict().items())


def test_patience_ends_the_run(tagger, ner_data, monkeypatch):
    monkeypatch.setattr(
        "minilora.train.trainer.evaluate", scores_of(0.5, 0.4, 0.6, 0.6, 0.5, 0.9, 0.9)
    )
    _, history = run(tagger, ner_data, changed(epochs=7, patience=2))
    assert len(history.epochs) == 5
    assert history.best is history.epochs[2]


def test_one_step_is_a_train_step(tagger, ner_data):
    data, settings = ner_data(4, 1), changed(epochs=1, warmup_ratio=0.0, clip=0.5)
    model, twin = tagger(np.float64), tagger(np.float64)
    history = fit(model, data, None, settings)
    optimizer = settings.make_optimizer(twin)
    loss = train_step(twin, data.batch(range(4)), optimizer, threads=1, clip=0.5)
    assert math.isclose(history.losses[0], loss, rel_tol=1e-12)
    for name, array in twin.state_dict().items():
        np.testing.assert_allclose(model.state_dict()[name], array, rtol=0, atol=1e-9)


def test_checkpoints_come_after_each_record_and_as_often_as_asked(tagger, ner_data):
    states = []
    run(tagger, ner_data, checkpoint=states.append, checkpoint_every=2)
    assert [state.n_steps for state in states] == [2, 4, 5, 6, 8, 10, 10]
    assert [len(state.meta["epochs"]) for state in states] == [0, 0, 1, 1, 1, 1, 2]
    assert all(json.dumps(state.meta, allow_nan=False) for state in states)


def test_ctrl_c_saves_the_step_that_is_done(tagger, ner_data):
    states = []

    def stop(record):
        if record.step == 3:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run(tagger, ner_data, checkpoint=states.append, on_step=stop)
    assert [state.n_steps for state in states] == [3]


def test_ctrl_c_in_the_middle_of_a_step_waits_for_its_end(tagger, ner_data, monkeypatch):
    states, update = [], type(SHORT.make_optimizer(tagger()))._update

    def interrupted(self, p, *args):
        signal.raise_signal(signal.SIGINT) if self.n_steps == 3 and args[-1] == 5 else None
        update(self, p, *args)

    monkeypatch.setattr("minilora.train.optim.AdamW._update", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(tagger, ner_data, checkpoint=states.append)
    assert [state.n_steps for state in states] == [3]


def test_a_step_broken_off_by_a_second_ctrl_c_is_not_saved(tagger, ner_data, monkeypatch):
    states, update = [], type(SHORT.make_optimizer(tagger()))._update

    def interrupted(self, p, *args):
        if self.n_steps == 3 and args[-1] == 5:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
        update(self, p, *args)

    monkeypatch.setattr("minilora.train.optim.AdamW._update", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(tagger, ner_data, checkpoint=states.append)
    assert states == []


def test_divergence_stops_and_is_never_saved(tagger, ner_data):
    states = []
    with pytest.raises(DivergenceError, match=r"step \d+, learning rate .*first seen in bert"):
        run(tagger, ner_data, changed(lr=1e30, clip=None), checkpoint=states.append,
            checkpoint_every=1)  # fmt: skip
    assert all(np.isfinite(a).all() for state in states for a in state.arrays.values())


def test_a_dev_loss_that_is_no_number_stops(tagger, ner_data, monkeypatch):
    monkeypatch.setattr(
        "minilora.train.trainer.evaluate", lambda *args, **options: {"loss": math.inf, "f1": 0.0}
    )
    states = []
    with pytest.raises(DivergenceError, match="the dev loss is inf after step 5"):
        run(tagger, ner_data, checkpoint=states.append)
    assert states == []


@pytest.mark.parametrize("which", ["train", "dev"])
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda data: dataclasses.replace(data, labels=None), "the data has no labels"),
        (
            lambda data: dataclasses.replace(
                data, encodings=[], labels=[], rows=[], report=EncodingReport(0)
            ),
            "the data has no rows",
        ),
        (lambda data: dataclasses.replace(data, label_names=("O", "B-Z")), "has the labels O, B-Z"),
        (
            lambda data: dataclasses.replace(
                data, labels=[np.full_like(label, -100) for label in data.labels]
            ),
            "not one of the 6 rows has a label left",
        ),
    ],
)
def test_data_that_cannot_be_used_is_named(tagger, ner_data, which, spoil, message):
    data = {"train": ner_data(6, 1), "dev": ner_data(6, 2)}
    data[which] = spoil(data[which])
    with pytest.raises(DataError, match=f"fit: {which}: .*{message}"):
        fit(tagger(), data["train"], data["dev"], SHORT)


def test_a_metric_of_the_other_task_is_refused(tagger, ner_data):
    with pytest.raises(ConfigError, match=r"metric is 'macro_f1', which is .*Choices: acc"):
        run(tagger, ner_data, changed(metric="macro_f1"))


@pytest.mark.parametrize("setting", [{"patience": 2}, {"metric": "f1"}])
def test_patience_and_metric_need_dev(tagger, ner_data, setting):
    with pytest.raises(ConfigError, match="no dev data"):
        run(tagger, ner_data, changed(**setting), dev=False)


def test_nothing_to_train_is_refused(tagger, ner_data):
    model = tagger()
    model.freeze()
    with pytest.raises(ConfigError, match="Is everything frozen"):
        fit(model, ner_data(6, 1), None, SHORT)


def test_checkpoints_need_a_whole_number_of_steps(tagger, ner_data):
    with pytest.raises(ConfigError, match="checkpoint_every is 0"):
        run(tagger, ner_data, checkpoint_every=0)


def test_a_trainer_can_be_driven_by_hand(tagger, ner_data):
    trainer = Trainer(tagger(), ner_data(8, 1), ner_data(4, 2), changed(epochs=1))
    assert not trainer.scoring_is_due
    assert [trainer.step().step, trainer.step().step] == [1, 2]
    assert trainer.scoring_is_due
    assert not trainer.is_finished
    assert trainer.score().is_best
    assert trainer.is_finished


def test_a_state_of_another_model_is_refused(tagger, ner_data):
    states = []
    run(tagger, ner_data, checkpoint=states.append)
    model = tagger()
    model.classifier.bias.requires_grad_(False)
    with pytest.raises((CheckpointError, ConfigError), match="resume: "):
        fit(model, ner_data(18, 1), ner_data(8, 2), SHORT, resume=states[0])
