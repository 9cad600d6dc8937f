"""Compiled kernels are found again, and never when they are out of date."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest

import minilora
from minilora.kernels import cache
from minilora.kernels.pointwise import _gelu

PACKAGE = Path(minilora.__file__).parent


@pytest.fixture
def fresh():
    """cache_dir() decides once per process: here, as often as asked."""
    cache._place.cache_clear()
    yield
    cache._place.cache_clear()


def run(code, *, package_in, cache_in):
    environment = os.environ | {"PYTHONPATH": str(package_in), "MINILORA_CACHE": str(cache_in)}
    process = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        cwd=package_in,
    )
    assert not process.stderr
    return process.stdout.split()


GELU_OF_ONE = """
import numpy as np
from minilora import kernels
from minilora.kernels.pointwise import _gelu
print(kernels.gelu(np.ones(1, np.float32))[0], sum(_gelu.stats.cache_hits.values()))
"""


def test_a_change_in_a_callee_of_another_file_is_seen(tmp_path):
    shutil.copytree(PACKAGE, tmp_path / "minilora", ignore=shutil.ignore_patterns("__pycache__"))
    where = {"package_in": tmp_path, "cache_in": tmp_path / "cache"}
    before, first_hits = run(GELU_OF_ONE, **where)
    again, hits = run(GELU_OF_ONE, **where)
    assert (float(before), first_hits, again, hits) == (pytest.approx(0.8413447), "0", before, "1")

    callee = tmp_path / "minilora" / "kernels" / "elementary.py"
    source = callee.read_text()
    assert "return e, e * p / q" in source
    callee.write_text(source.replace("return e, e * p / q", "return e, e * p / q / 2"))
    after, hits = run(GELU_OF_ONE, **where)
    assert (float(after), hits) == (pytest.approx(1 - (1 - 0.8413447) / 2), "0")


def test_our_kernels_are_cached_in_our_folder_and_others_elsewhere():
    assert Path(_gelu.stats.cache_path).parent == cache.cache_dir()

    @numba.njit(cache=True)
    def theirs(x):
        return x

    assert cache.cache_dir() not in Path(theirs.stats.cache_path).parents


def test_the_environment_chooses_the_folder(fresh, monkeypatch, tmp_path):
    monkeypatch.setenv("MINILORA_CACHE", str(tmp_path / "here"))
    assert cache.cache_dir().parent == tmp_path / "here"
    assert cache.trouble() is None
    assert re.fullmatch("kernels-[0-9a-f]{16}", cache.cache_dir().name)


def test_the_default_is_in_the_users_cache(fresh, monkeypatch, tmp_path):
    monkeypatch.delenv("MINILORA_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.cache_dir().parent == tmp_path / "minilora"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    cache._place.cache_clear()
    assert cache.cache_dir().parent == tmp_path / "home" / ".cache" / "minilora"


def test_where_nothing_can_be_written_a_temporary_folder_serves(fresh, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("MINILORA_CACHE", str(tmp_path / "file"))
    assert cache.cache_dir().name.startswith("minilora-kernels-")
    assert not cache.cached(np.float32)
    assert cache.trouble().startswith(f"{tmp_path / 'file'} cannot be written (")
    assert cache.trouble().endswith("or set MINILORA_CACHE to a folder that is")


def test_without_a_home_a_temporary_folder_serves(fresh, monkeypatch):
    for variable in ("MINILORA_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    assert cache.cache_dir().name.startswith("minilora-kernels-")
    assert cache.trouble().startswith("there is no home folder for ~/.cache/minilora; set MINILORA")


def homeless():
    raise RuntimeError("Could not determine home directory.")


def test_the_folder_has_a_name_without_numba(fresh, monkeypatch, tmp_path):
    monkeypatch.setenv("MINILORA_CACHE", str(tmp_path))
    monkeypatch.setitem(sys.modules, "llvmlite.binding", None)
    assert cache.cache_dir().parent == tmp_path


def test_kernels_are_noted_as_compiled_dtype_by_dtype(fresh, monkeypatch, tmp_path):
    monkeypatch.setenv("MINILORA_CACHE", str(tmp_path))
    cache.mark_cached(np.float32)
    assert cache.cached(np.float32)
    assert not cache.cached(np.float64)


def test_a_new_folder_removes_old_ones_of_ours_and_nothing_else(fresh, monkeypatch, tmp_path):
    monkeypatch.setenv("MINILORA_CACHE", str(tmp_path))
    old, in_use = tmp_path / "kernels-0123456789abcdef", tmp_path / "kernels-fedcba9876543210"
    others = [tmp_path / "kernels-mine", tmp_path / "kernels", tmp_path / "models"]
    for folder in (old, in_use, *others):
        folder.mkdir()
        (folder / "file").touch()
        if folder != in_use:
            os.utime(folder, (0, 0))
    ours = cache.cache_dir()
    assert set(tmp_path.iterdir()) == {ours, in_use, *others}


def test_a_folder_that_another_process_removed_first_is_left_to_it(tmp_path):
    assert cache._age(tmp_path / "gone") == 0


def test_an_existing_folder_removes_nothing(fresh, monkeypatch, tmp_path):
    monkeypatch.setenv("MINILORA_CACHE", str(tmp_path))
    cache.cache_dir()
    old = tmp_path / "kernels-0123456789abcdef"
    old.mkdir()
    os.utime(old, (0, 0))
    cache._place.cache_clear()
    cache.cache_dir()
    assert old.exists()


def test_reading_a_folder_says_that_it_is_in_use(fresh, monkeypatch, tmp_path):
    monkeypatch.setenv("MINILORA_CACHE", str(tmp_path))
    ours = cache.cache_dir()
    os.utime(ours, (0, 0))
    cache._place.cache_clear()
    assert cache.cache_dir().stat().st_mtime > 0


@pytest.mark.parametrize(
    "change",
    [
        lambda patch: patch.setattr("platform.python_version", lambda: "3.99"),
        lambda patch: patch.setattr("importlib.metadata.version", lambda name: "0.99"),
        lambda patch: patch.setattr("llvmlite.binding.get_host_cpu_name", lambda: "z80"),
    ],
    ids=["python", "numba", "processor"],
)
def test_what_compiles_is_part_of_the_key(change, monkeypatch):
    before = cache._key()
    change(monkeypatch)
    assert cache._key() != before
