import numpy as np
import pytest

from minilora import kernels
from minilora.cli import doctor
from minilora.kernels import reference


def test_a_healthy_machine_passes_every_check(run):
    answer = run("doctor", "--json")
    assert answer.code == 0
    assert answer.json["healthy"]
    assert [check["name"] for check in answer.json["checks"]] == [
        "gradient",
        "precision",
        "kernels",
        "repeatable",
    ]


def test_people_see_versions_threads_and_a_verdict(run):
    out = run("doctor").out
    for seen in ("numpy ", "blas ", "threads ", "reference (NumPy)", "\nall is well\n"):
        assert seen in out


@pytest.fixture
def wrong_gradients(monkeypatch):
    right = reference.gelu_backward
    monkeypatch.setattr(reference, "gelu_backward", lambda dy, x: right(dy, x) * 1.01)


@pytest.mark.usefixtures("wrong_gradients")
def test_a_wrong_gradient_is_a_failed_verdict(run):
    answer = run("doctor", "--json")
    assert answer.code == 1
    failed = [check["name"] for check in answer.json["checks"] if not check["passed"]]
    assert failed == ["gradient"]


@pytest.mark.usefixtures("wrong_gradients")
def test_a_failed_verdict_is_seen(run):
    answer = run("doctor")
    assert "FAIL  gradient" in answer.out
    assert "something computes wrongly here" in answer.out


def test_the_kernels_in_use_are_those_that_are_checked(monkeypatch):
    pytest.importorskip("numba")
    kernels.use("numba")
    try:
        monkeypatch.setattr(reference, "gelu", lambda x: np.zeros_like(x))
        assert not doctor.compiled().passed
        assert kernels.active() == "numba"
    finally:
        kernels.use("reference")


def test_kernels_that_cannot_be_kept_are_no_health(run, monkeypatch):
    monkeypatch.setattr(kernels, "cache_trouble", lambda: "X cannot be written")
    answer = run("doctor")
    assert answer.code == 0
    assert "kernels are compiled at every start, since X cannot be written" in answer.out
    assert "every start is slow; see the note" in answer.out
    assert "all is well" not in answer.out
