"""kernels.<name> resolves to the implementation in use."""

import subprocess
import sys

import numpy as np
import pytest

from minilora import kernels
from minilora.errors import ConfigError
from minilora.kernels import cache, every_kernel, jitted, reference

x = np.ones((2, 3))


@pytest.fixture(autouse=True)
def forget_the_choice(monkeypatch):
    monkeypatch.setattr(kernels, "_active", None)
    monkeypatch.delenv("MINILORA_KERNELS", raising=False)


def without_numba(monkeypatch):
    monkeypatch.setattr(kernels, "_numba_is_installed", lambda: False)


def test_numba_is_the_default():
    assert kernels.active() == "numba"
    assert kernels.attention is jitted.attention


@pytest.mark.parametrize("name", kernels.KERNELS)
def test_every_name_resolves_in_both(name):
    for implementation, module in (("numba", jitted), ("reference", reference)):
        kernels.use(implementation)
        assert getattr(kernels, name) is getattr(module, name)


def test_the_environment_chooses(monkeypatch):
    monkeypatch.setenv("MINILORA_KERNELS", "reference")
    assert kernels.active() == "reference"
    assert kernels.gelu is reference.gelu


def test_without_numba_the_reference_works(monkeypatch):
    without_numba(monkeypatch)
    assert kernels.active() == "reference"
    assert kernels.softmax is reference.softmax
    assert kernels.cached(np.float32)
    assert kernels.warm_up(np.float32) < 1


def test_asking_for_numba_where_there_is_none_says_what_to_do(monkeypatch):
    without_numba(monkeypatch)
    monkeypatch.setenv("MINILORA_KERNELS", "numba")
    with pytest.raises(ConfigError, match=r"not installed; install it, or leave MINILORA_KERNELS"):
        kernels.active()


def test_a_misspelt_choice_is_refused_with_a_suggestion(monkeypatch):
    monkeypatch.setenv("MINILORA_KERNELS", "refernce")
    with pytest.raises(ConfigError, match=r"'refernce'\. Did you mean 'reference'"):
        kernels.gelu(x)
    with pytest.raises(ConfigError, match=r"Did you mean 'numba'"):
        kernels.use("nunba")


def test_an_unknown_kernel_is_an_attribute_error():
    with pytest.raises(AttributeError, match="gelo"):
        kernels.gelo  # noqa: B018


def test_warm_up_calls_every_kernel_and_notes_it(monkeypatch, tmp_path):
    monkeypatch.setattr(cache, "cache_dir", lambda: tmp_path)
    called = []
    monkeypatch.setattr(every_kernel, "call_every_kernel", called.append)
    assert not kernels.cached(np.float64)
    assert kernels.warm_up(np.float64) > 0
    assert called == [np.float64]
    assert kernels.cached(np.float64)
    assert not kernels.cached(np.float32)


def test_every_kernel_means_every_kernel(monkeypatch):
    called = set()
    for name in kernels.KERNELS:
        monkeypatch.setattr(jitted, name, note(getattr(jitted, name), name, called))
    every_kernel.call_every_kernel(np.float64)
    assert called == set(kernels.KERNELS)


def note(kernel, name, called):
    def noted(*arguments):
        called.add(name)
        return kernel(*arguments)

    return noted


def test_importing_kernels_imports_neither_numba_nor_scipy():
    code = "import sys, minilora.kernels; print({'numba', 'scipy', 'llvmlite'} & set(sys.modules))"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert process.stdout.strip() == "set()"
