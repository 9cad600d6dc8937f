import sys

import numpy as np
import pytest

from minilora import kernels
from minilora.cli import machine
from minilora.cli.machine import facts, ready_kernels


@pytest.fixture
def warmed(monkeypatch):
    """Dtypes that were warmed up; nothing is compiled."""
    dtypes = []
    monkeypatch.setattr(kernels, "warm_up", dtypes.append)
    return dtypes


def test_a_first_compilation_says_why_nothing_moves(monkeypatch, warmed, capsys):
    monkeypatch.setattr(kernels, "cached", lambda dtype: False)
    ready_kernels("float32")
    assert capsys.readouterr().err.startswith("compiling kernels, once per machine, about ")
    assert warmed == ["float32"]


def test_later_runs_say_nothing(monkeypatch, warmed, capsys):
    monkeypatch.setattr(kernels, "cached", lambda dtype: True)
    ready_kernels("float32")
    assert capsys.readouterr() == ("", "")
    assert warmed == ["float32"]


def test_a_command_keeps_the_memory_that_its_steps_free(monkeypatch, warmed):
    asked = []
    monkeypatch.setattr(machine, "keep_freed_memory", lambda: asked.append(True))
    ready_kernels("float32")
    assert asked == [True]


def test_the_threads_that_were_asked_for_are_told_from_the_default(monkeypatch):
    monkeypatch.setenv("MINILORA_THREADS", "3")
    assert facts()["threads"] == "3 (MINILORA_THREADS=3)"
    monkeypatch.delenv("MINILORA_THREADS")
    assert facts()["threads"].endswith("(one a core)")


def test_a_package_that_is_missing_is_said_to_be(monkeypatch):
    monkeypatch.setattr(machine, "PACKAGES", ("numpy", "no-such-package"))
    found = facts()
    assert found["numpy"] == sys.modules["numpy"].__version__
    assert found["no-such-package"] == "not installed"


def test_elsewhere_than_on_linux_less_is_known_and_nothing_fails(monkeypatch):
    for name in ("sched_getaffinity", "sysconf"):
        monkeypatch.delattr(f"os.{name}", raising=False)

    def no_such_file(path, **options):
        raise FileNotFoundError(path)

    monkeypatch.setattr("pathlib.Path.read_text", no_such_file)
    found = facts()
    assert found["memory"] == "not known"
    assert "cores for this process" in found["cpu"]


@pytest.mark.parametrize("proc", [True, False])
def test_the_peak_of_memory_counts_what_was_given_back(proc, monkeypatch):
    def refuse(path, **options):
        raise FileNotFoundError(path)

    if not proc:
        monkeypatch.setattr("pathlib.Path.read_text", refuse)
    np.ones(12_500_000)
    assert 100e6 < machine.peak_memory() < 1e12


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        (None, "once per machine, about 15 s"),
        ("X is full", "about 15 s at every start, since X"),
    ],
)
def test_compiling_is_announced_with_how_often_it_will_come(trouble, said, monkeypatch, capsys):
    monkeypatch.setattr(kernels, "cached", lambda dtype: False)
    monkeypatch.setattr(kernels, "cache_trouble", lambda: trouble)
    monkeypatch.setattr(kernels, "warm_up", lambda dtype: None)
    machine.ready_kernels()
    assert f"compiling kernels, {said}" in capsys.readouterr().err


def test_several_types_are_announced_once(monkeypatch, capsys):
    monkeypatch.setattr(kernels, "cached", lambda dtype: False)
    monkeypatch.setattr(kernels, "cache_trouble", lambda: None)
    monkeypatch.setattr(kernels, "warm_up", lambda dtype: None)
    machine.ready_kernels(np.float64, np.float32)
    assert capsys.readouterr().err.count("compiling kernels, once per machine, about 30 s") == 1
