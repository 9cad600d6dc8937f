"""An installed wheel has what a checkout has: no path of the checkout is needed any more."""

import importlib.util
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.slow


def pip(*words):
    quiet = ("--quiet", "--no-deps", "--disable-pip-version-check")
    subprocess.run([sys.executable, "-m", "pip", *map(str, words), *quiet], check=True)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel of this checkout, built offline where the build backend is installed."""
    folder = tmp_path_factory.mktemp("wheel")
    here = importlib.util.find_spec("hatchling") is not None
    pip("wheel", ROOT, "--wheel-dir", folder, *(["--no-build-isolation"] if here else []))
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """Run Python where minilora is what the wheel holds, in a folder with nothing else in it."""
    site, elsewhere = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("elsewhere")
    pip("install", wheel, "--target", site)

    def python(*words):
        done = subprocess.run(
            [sys.executable, *words],
            env={**os.environ, "PYTHONPATH": str(site), "MINILORA_KERNELS": "reference"},
            cwd=elsewhere,
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout

    python.site, python.elsewhere = site, elsewhere
    return python


def test_a_wheel_carries_data_and_encoder_and_not_what_made_them(wheel):
    carried = [name for name in zipfile.ZipFile(wheel).namelist() if "/data/" in name]
    assert "minilora/data/ner/train.conll" in carried
    assert "minilora/data/tiny_bert/model.safetensors" in carried
    assert not [name for name in carried if name.endswith(".py")]


def test_data_and_encoder_are_found_beside_the_package(installed):
    shown = installed("-c", "import minilora; print(minilora.base_folder('tiny'))")
    assert shown == f"{installed.site / 'minilora' / 'data' / 'tiny_bert'}\n"


def test_the_demo_runs_from_a_wheel(installed):
    words = ("-m", "minilora", "demo", "--epochs", "1", "--json")
    result = json.loads(installed(*words).splitlines()[-1])
    assert result["command"] == "demo"
    assert (installed.elsewhere / result["out"] / "adapter_model.safetensors").is_file()
