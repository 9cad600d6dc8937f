"""A run that was interrupted, wherever, ends as if it had not been: the same bits."""

import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minilora.adapters import LoraConfig, prepare
from minilora.errors import CheckpointError, ConfigError
from minilora.io.run import RunFolder
from minilora.train import TrainerState, TrainSettings, fit

SETTINGS = TrainSettings(
    epochs=3, batch_size=6, chunk_tokens=20, lr=1e-2, eval_every=2, threads=2, label_smoothing=0.1
)
N_TRAIN, N_DEV = 20, 6  # 4 steps an epoch


class StopError(Exception):
    """What ends a run early in these tests."""


def adapted(tagger, seed=0):
    model, rng = tagger(dropout=0.2), np.random.default_rng(seed)
    config = LoraConfig(r=2, lora_dropout=0.1, modules_to_save=["classifier"])
    prepare(model, "lora", config=config, rng=rng)
    return model


@pytest.fixture
def data(ner_data):
    return ner_data(N_TRAIN, 1), ner_data(N_DEV, 2)


@pytest.fixture
def whole(tagger, data):
    """Parameters and history of a run nobody interrupted."""
    model = adapted(tagger)
    return model.state_dict(), fit(model, *data, SETTINGS)


def without_times(history):
    return [{k: v for k, v in row.items() if k != "seconds"} for row in history.rows()]


def assert_same(model, history, whole):
    parameters, expected = whole
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, parameters[name], err_msg=name)
    assert without_times(history) == without_times(expected)


@settings(deadline=None, max_examples=10, suppress_health_check=[*HealthCheck])
@given(
    stops=st.lists(st.tuples(st.sampled_from(["on_step", "on_epoch"]), st.integers(1, 12))),
    every=st.integers(1, 5),
)
def test_interrupted_anywhere_it_ends_with_the_same_bits(tagger, data, whole, stops, every):
    state = None

    def save(new):
        nonlocal state
        state = new

    for name, step in stops:

        def stop(record, step=step):
            if record.step >= step:
                raise StopError

        with contextlib.suppress(StopError):
            fit(
                adapted(tagger), *data, SETTINGS, resume=state, checkpoint=save,
                checkpoint_every=every, **{name: stop},
            )  # fmt: skip
    model = adapted(tagger)
    assert_same(model, fit(model, *data, SETTINGS, resume=state), whole)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_each_optimiser_goes_on(tagger, data, optimizer):
    chosen = dataclasses.replace(SETTINGS, optimizer=optimizer)
    states, model, again = [], adapted(tagger), adapted(tagger)
    history = fit(model, *data, chosen, checkpoint=states.append, checkpoint_every=3)
    assert_same(again, fit(again, *data, chosen, resume=states[2]), (model.state_dict(), history))


def test_a_state_passes_through_a_file(tagger, data, whole, tmp_path):
    with RunFolder.create(tmp_path) as run:

        def save(state):
            if state.n_steps == 7:
                run.save_state(state.arrays, state.meta)

        fit(adapted(tagger), *data, SETTINGS, checkpoint=save, checkpoint_every=7)
        model = adapted(tagger)
        history = fit(model, *data, SETTINGS, resume=TrainerState(*run.load_state()))
    assert_same(model, history, whole)


def test_a_finished_run_has_nothing_left_to_do(tagger, data, whole):
    states, told = [], []
    fit(adapted(tagger), *data, SETTINGS, checkpoint=states.append)
    model = adapted(tagger)
    history = fit(model, *data, SETTINGS, resume=states[-1], on_step=told.append)
    assert told == []
    assert_same(model, history, whole)


def test_a_run_out_of_patience_stays_stopped(tagger, data, monkeypatch):
    monkeypatch.setattr(
        "minilora.train.trainer.evaluate", lambda *args, **options: {"loss": 1.0, "f1": 0.5}
    )
    states, chosen = [], dataclasses.replace(SETTINGS, patience=2)
    history = fit(adapted(tagger), *data, chosen, checkpoint=states.append)
    assert len(history.epochs) == 3
    assert len(fit(adapted(tagger), *data, chosen, resume=states[-1]).steps) == len(history.steps)


def test_finishing_keeps_the_best_so_far(tagger, data):
    states = []
    history = fit(adapted(tagger), *data, SETTINGS, checkpoint=states.append, checkpoint_every=1)
    first = history.epochs[0].step
    state = next(state for state in states if state.n_steps == first + 1)
    model = adapted(tagger)
    ended = fit(model, *data, SETTINGS, resume=state, finish=True)
    assert (len(ended.steps), len(ended.epochs)) == (first + 1, 1)
    assert ended.best == ended.epochs[0]
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            np.testing.assert_array_equal(parameter.data, state.arrays[f"best.{name}"])


def test_finishing_needs_an_epoch(tagger, data):
    states = []
    fit(adapted(tagger), *data, SETTINGS, checkpoint=states.append, checkpoint_every=1)
    with pytest.raises(ConfigError, match="no epoch was done and scored in 1 steps"):
        fit(adapted(tagger), *data, SETTINGS, resume=states[0], finish=True)


def test_a_state_is_a_copy(tagger, data):
    states = []
    fit(adapted(tagger), *data, SETTINGS, checkpoint=states.append, checkpoint_every=1)
    first = {k: a for k, a in states[0].arrays.items() if k.startswith(("model", "optimizer"))}
    last = states[-1].arrays
    assert any(not np.array_equal(array, last[name]) for name, array in first.items())


def test_going_on_does_not_write_into_the_state(tagger, data):
    states = []
    fit(adapted(tagger), *data, SETTINGS, checkpoint=states.append, checkpoint_every=5)
    before = {name: array.copy() for name, array in states[0].arrays.items()}
    fit(adapted(tagger), *data, SETTINGS, resume=states[0])
    np.testing.assert_equal(states[0].arrays, before)


def test_threads_are_those_of_the_run_when_not_said(tagger, data, monkeypatch):
    monkeypatch.setenv("MINILORA_THREADS", "2")
    unsaid = dataclasses.replace(SETTINGS, threads=None)
    states, model, again = [], adapted(tagger), adapted(tagger)
    history = fit(model, *data, unsaid, checkpoint=states.append, checkpoint_every=5)
    monkeypatch.setenv("MINILORA_THREADS", "1")
    assert_same(again, fit(again, *data, unsaid, resume=states[0]), (model.state_dict(), history))


@pytest.fixture
def state(tagger, data):
    states = []
    fit(adapted(tagger), *data, SETTINGS, checkpoint=states.append)
    return states[0]


def test_other_settings_are_refused_with_what_changed(tagger, data, state):
    other = dataclasses.replace(SETTINGS, lr=0.5, seed=3)
    with pytest.raises(ConfigError, match=r"lr was 0\.01, is 0\.5; seed was 0, is 3; resume with"):
        fit(adapted(tagger), *data, other, resume=state)


def test_other_data_is_refused(tagger, data, ner_data, state):
    with pytest.raises(ConfigError, match="other training data"):
        fit(adapted(tagger), ner_data(N_TRAIN, 9), data[1], SETTINGS, resume=state)
    with pytest.raises(ConfigError, match="other dev data"):
        fit(adapted(tagger), data[0], ner_data(N_DEV, 9), SETTINGS, resume=state)


def test_another_base_model_is_refused(tagger, data, state):
    model = adapted(tagger)
    model.bert.encoder.layer[0].output.dense.weight.data[0, 0] += 1
    with pytest.raises(ConfigError, match="other frozen parameters"):
        fit(model, *data, SETTINGS, resume=state)


def test_parameters_of_another_shape_are_named(tagger, data, state):
    arrays = dict(state.arrays)
    name = next(name for name in arrays if name.startswith("model."))
    arrays[name] = arrays[name][:1, :1]
    with pytest.raises(CheckpointError, match=rf"1 of \d+ .*: {name.removeprefix('model.')};"):
        fit(adapted(tagger), *data, SETTINGS, resume=TrainerState(arrays, state.meta))


def test_a_state_of_another_version_is_refused(state):
    with pytest.raises(CheckpointError, match="has format 2; expected 1"):
        TrainerState(state.arrays, state.meta | {"format": 2})


def test_a_state_that_lacks_something_is_refused(state):
    meta = {name: said for name, said in state.meta.items() if name not in ("settings", "train")}
    with pytest.raises(CheckpointError, match="lacks settings, train; it is damaged"):
        TrainerState(state.arrays, meta)


SCRIPT = """
import importlib.util, sys
import numpy as np

spec = importlib.util.spec_from_file_location("toys", {toys!r})
toys = importlib.util.module_from_spec(spec)
spec.loader.exec_module(toys)

from minilora.adapters import LoraConfig, prepare
from minilora.io import save_adapter
from minilora.io.run import RunFolder
from minilora.nn import BertForTokenClassification
from minilora.train import TrainSettings, TrainerState, fit

rng = np.random.default_rng(0)
model = BertForTokenClassification(toys.tiny_config(0.2), labels=toys.TAGS, rng=rng)
prepare(model, "lora", config=LoraConfig(r=2, modules_to_save=["classifier"]), rng=rng)
settings = TrainSettings(epochs=6, batch_size=4, lr=1e-2, threads=2)
first = sys.argv[1] == "create"
with RunFolder.create(sys.argv[2]) if first else RunFolder.resume(sys.argv[2]) as run:
    saved = None if first else run.load_state()
    state = TrainerState(*saved) if saved else None
    if state:
        run.write_metrics(state.history().rows())
    print("training", flush=True)
    fit(
        model, toys.ner_dataset(80, 1), toys.ner_dataset(10, 2), settings, resume=state,
        checkpoint=lambda s: run.save_state(s.arrays, s.meta), checkpoint_every=1,
        on_step=lambda r: run.append_metrics(r.to_json()),
        on_epoch=lambda r: run.append_metrics(r.to_json()),
    )
    save_adapter(model, run.path)
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_killed_ten_times_it_ends_with_the_same_file(tmp_path, rng):
    toys = Path(__file__).with_name("conftest.py")
    script = textwrap.dedent(SCRIPT).format(toys=str(toys))

    def start(how, name):
        command = [sys.executable, "-c", script, how, str(tmp_path / name)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert process.stdout.readline() == b"training\n"
        return process

    began = time.monotonic()
    with start("create", "whole") as process:
        assert process.wait() == 0
    seconds = time.monotonic() - began

    how = "create"
    for _ in range(10):
        with start(how, "killed") as process:
            time.sleep(rng.uniform(0, seconds / 8))
            process.send_signal(signal.SIGKILL)
        how = "resume"
    with start(how, "killed") as process:
        assert process.wait() == 0
    whole, killed = (tmp_path / name / "adapter_model.safetensors" for name in ("whole", "killed"))
    assert whole.read_bytes() == killed.read_bytes()
    n_lines = [len((tmp_path / n / "metrics.jsonl").read_text().splitlines()) for n in
               ("whole", "killed")]  # fmt: skip
    assert n_lines == [6 * 20 + 6] * 2
