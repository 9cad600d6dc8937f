"""The demo, on the base and data of these tests in the place of those that are shipped."""

import json
import shlex
import shutil

import pytest

from minilora.cli.demo_recipes import RECIPES
from minilora.cli.recorder import Recorder
from minilora.cli.train_options import LEARNING_RATES, TrainOptions

ADAPTER = "adapter_model.safetensors"
SHORT = ("--epochs", 1, "--threads", 1)


@pytest.fixture(autouse=True)
def home(shipped, tmp_path, monkeypatch):
    """An empty folder to be in."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def test_it_runs_without_a_word_and_tells_its_story(run, home):
    answer = run("demo", *SHORT)
    assert (answer.code, answer.err) == (0, "")
    told = (
        "minilora demo: find the names of people",
        "tiny, a small English encoder that comes with minilora",
        "tiny: 2 layers, width 16",
        "before training\ntest F1 0.",
        "1/1",
        "F1   before   after  in test\n",
        "LOC  ",
        " parameters trained (",
        " of memory\n",
        " of 8 test sentences with names\n",
        "  before  ",
        "  after   ",
        "report.png\n",
        "minilora predict --adapter runs/demo-ner ",
    )
    story = answer.out
    for words in told:
        _, found, story = story.partition(words)
        assert found, f"{words!r} is not told, or too early"
    assert "\x1b[" not in answer.out
    assert {ADAPTER, "report.png", "run.json"} < {
        p.name for p in (home / "runs/demo-ner").iterdir()
    }


def test_the_commands_to_try_next_work(run):
    lines = run("demo", *SHORT).out.splitlines()
    commands = lines[lines.index("next") + 1 :]
    assert len(commands) == 3
    for command in commands:
        minilora, *words = shlex.split(command)
        assert minilora == "minilora"
        short = SHORT if words[0] == "train" else ()
        assert run(*words, *short).code == 0


@pytest.mark.parametrize("task", RECIPES)
def test_programs_get_before_and_after(task, run):
    answer = run("demo", "--task", task, *SHORT, "--json")
    assert answer.out.count("\n") == 1
    found = answer.json
    assert (found["command"], found["demo"], found["out"]) == ("demo", task, f"runs/demo-{task}")
    kind = "types" if task == "ner" else "classes"
    assert found["before"][kind].keys() == found["test"][kind].keys()
    assert found["before"]["loss"] != found["test"]["loss"]
    assert 0 < found["seconds"] < found["seconds_in_all"]
    assert found["peak_memory"] > 1e6
    assert 0 < len(found["texts"]) <= 5
    assert {"text", "before", "after", "true", "right"} == found["texts"][0].keys()


def test_texts_and_labels_are_told_as_well(run):
    answer = run("demo", "--task", "intents", *SHORT)
    assert "minilora demo: tell what a customer wants" in answer.out
    assert "\naccuracy  " in answer.out
    assert " of 8 test texts\n" in answer.out


def test_it_trains_as_the_command_train_does(run, home, shipped):
    run("demo", *SHORT, "--seed", 3)
    settings = json.loads((home / "runs/demo-ner/run.json").read_text())["settings"]
    words = ["train", "--out", "runs/same"]
    for name, value in settings.items():
        if value is not None:
            shown = ",".join(value) if isinstance(value, list) else value
            words += [f"--{name.replace('_', '-')}", shown]
    assert run(*words).code == 0
    adapters = [home / "runs" / name / ADAPTER for name in ("demo-ner", "same")]
    assert adapters[0].read_bytes() == adapters[1].read_bytes()


def test_before_is_the_base_with_the_head_that_training_starts_from(run):
    one, other = (run("demo", *SHORT, "--seed", s, "--json").json["before"] for s in (0, 1))
    assert one["loss"] != other["loss"]
    again = run("demo", "--epochs", 2, "--threads", 1, "--json").json["before"]
    assert again == one


def test_it_can_be_run_again(run, home):
    first = run("demo", *SHORT, "--json").json
    (home / "runs/demo-ner/notes.txt").write_text("mine")
    answer = run("demo", *SHORT)
    assert answer.code == 0
    assert "note: the demo that was in runs/demo-ner is replaced" in answer.out
    assert (home / "runs/demo-ner/notes.txt").read_text() == "mine"
    again = json.loads((home / "runs/demo-ner/run.json").read_text())
    assert again["results"]["test"] == first["test"]


def test_another_run_is_not_replaced(run, ner_run, home):
    out = shutil.copytree(ner_run, home / "mine")
    before = (out / ADAPTER).read_bytes()
    answer = run("demo", *SHORT, "--out", out)
    assert answer.code == 2
    assert "--overwrite" in answer.err
    assert (out / ADAPTER).read_bytes() == before
    assert run("demo", *SHORT, "--out", out, "--overwrite").code == 0


def test_what_ctrl_c_stops_goes_on_and_is_still_a_demo(run, home, monkeypatch):
    save = Recorder.checkpoint

    def save_and_stop(self, state):
        save(self, state)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Recorder, "checkpoint", save_and_stop)
        answer = run("demo", "--epochs", 2, "--threads", 1)
    assert answer.code == 130
    assert "minilora train --out runs/demo-ner --resume" in answer.err
    assert run("train", "--out", "runs/demo-ner", "--resume").code == 0
    assert "is replaced" in run("demo", *SHORT).out


def test_another_base_is_trained_with_the_defaults_of_train(run, base, home):
    answer = run("demo", "--base", base, "--threads", 1)
    assert answer.code == 0
    assert f"minilora inspect runs/demo-ner --base {base}" in answer.out
    settings = json.loads((home / "runs/demo-ner/run.json").read_text())["settings"]
    assert settings["lr"] == LEARNING_RATES["lora"]
    assert settings["epochs"] == TrainOptions.epochs


@pytest.mark.parametrize("name", ["ner", "tiny_bert"])
def test_what_is_not_there_is_named(name, run, shipped, home):
    shutil.rmtree(shipped / name)
    answer = run("demo")
    assert answer.code == 2
    assert answer.err.startswith(f"{name}: comes with minilora, but is not there; looked in ")
    assert answer.err.count("\n") == 1
    assert list(home.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--task", "intent"], "Did you mean 'intents'?"),
        (["--epochs", "0"], "epochs is 0"),
        (["--seed", "-1"], "seed is -1"),
        (["--resume"], "--resume: no such option"),
        (["ner"], "ner: is one word too many; did you mean --task ner?"),
        (["--out", "file"], "file"),
    ],
)
def test_a_wrong_option_is_refused(words, named, run, home):
    (home / "file").write_text("mine")
    answer = run("demo", *words)
    assert answer.code == 2
    assert named in answer.err
    assert answer.err.count("\n") == 1
    assert [path.name for path in home.iterdir()] == ["file"]


def test_a_checkout_shows_short_paths(run, shipped, monkeypatch):
    monkeypatch.chdir(shipped.parent)
    assert "train  shipped/ner/train.conll " in run("demo", *SHORT).out


@pytest.mark.parametrize("task", RECIPES)
def test_every_recipe_is_one_that_can_be_trained(task):
    options = RECIPES[task].options({})
    assert options.lora_config([]) is not None
    assert options.train_settings().epochs > 0
