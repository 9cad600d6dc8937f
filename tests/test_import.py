"""What `import minilora` gives, and what it costs."""

import ast
import importlib.metadata
import subprocess
import sys
import time
from pathlib import Path

import pytest

import minilora

HEAVY = ["numpy", "scipy", "numba", "matplotlib", "safetensors", "tqdm", "torch", "transformers"]
PUBLIC = sorted(minilora._HOME_OF)


def run_python(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout


def loaded_after(code):
    shown = run_python(f"{code}\nimport sys\nprint([m for m in {HEAVY} if m in sys.modules])")
    return ast.literal_eval(shown.splitlines()[-1])


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_found(name):
    assert getattr(minilora, name).__name__ == name


@pytest.mark.parametrize("name", minilora._PACKAGES)
def test_every_package_is_found_without_importing_it(name):
    shown = run_python(f"import minilora; print(minilora.{name}.__name__)")
    assert shown == f"minilora.{name}\n"


def test_type_checkers_are_told_the_same_names():
    tree = ast.parse(Path(minilora.__file__).read_text(encoding="utf-8"))
    told = {
        alias.asname: node.module.split(".")[1]
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module.startswith("minilora.")
        for alias in node.names
    }
    assert told == minilora._HOME_OF


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'minilora' has no attribute 'LoRaConfig'"):
        minilora.LoRaConfig  # noqa: B018


def test_the_version_is_that_of_the_package():
    assert minilora.__version__ == importlib.metadata.version("minilora")


def test_names_are_listed():
    assert {*PUBLIC, "ops", "__version__"} <= set(dir(minilora))


def test_import_loads_nothing_heavy():
    assert loaded_after("import minilora") == []


def test_a_model_needs_neither_figures_nor_bars_nor_compilers():
    assert loaded_after("import minilora; minilora.BertModel; minilora.fit") == [
        "numpy",
        "safetensors",
    ]


def test_import_is_quick():
    def seconds(code):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        return time.perf_counter() - start

    # Against the bare interpreter in turn, since a busy machine is slow at both.
    assert min(seconds("import minilora") - seconds("pass") for _ in range(3)) < 0.5


def test_the_docstring_examples_are_right():
    import doctest

    assert doctest.testmod(minilora).failed == 0
