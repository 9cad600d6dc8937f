"""Files appear whole or not at all, and failures say what to do."""

import errno
import os
import resource
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from minilora.errors import OutputError
from minilora.storage import output_error, remove_leftovers, replacing


def write(path, content: bytes = b"new") -> None:
    with replacing(path) as file:
        file.write(content)


def names(folder) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_the_file_holds_what_the_block_wrote(tmp_path):
    write(tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"new"
    assert names(tmp_path) == ["a"]


def test_folders_on_the_way_are_made(tmp_path):
    write(tmp_path / "x" / "y" / "a")
    assert (tmp_path / "x" / "y" / "a").read_bytes() == b"new"


def test_the_old_file_stays_until_the_block_has_ended(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with replacing(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
def test_a_block_that_fails_changes_nothing(tmp_path, failure):
    path = tmp_path / "a"
    path.write_bytes(b"old")

    def write_half() -> None:
        with replacing(path) as file:
            file.write(b"half")
            raise failure

    with pytest.raises(failure):
        write_half()
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a"]


def test_a_killed_writer_leaves_the_old_file(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    script = f"""
        import os, signal
        from pathlib import Path
        from minilora.storage import replacing
        with replacing(Path({str(path)!r})) as file:
            file.write(b"half")
            file.flush()
            os.kill(os.getpid(), signal.SIGKILL)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False)
    assert path.read_bytes() == b"old"
    assert len(names(tmp_path)) == 2
    remove_leftovers(tmp_path)
    assert names(tmp_path) == ["a"]


def test_the_umask_decides_who_may_read(tmp_path):
    before = os.umask(0o027)
    try:
        write(tmp_path / "a")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640


def test_two_writers_do_not_mix(tmp_path):
    path = tmp_path / "a"
    with replacing(path) as first, replacing(path) as second:
        first.write(b"first")
        second.write(b"second")
    assert path.read_bytes() == b"first"  # the one that ended last


def test_a_directory_in_the_way_is_named(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(OutputError, match=r"a: cannot be written: Is a directory; remove that"):
        write(tmp_path / "a")
    assert names(tmp_path) == ["a"]


def test_a_file_where_a_folder_should_be_is_named(tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(OutputError, match="a file is where a folder should be"):
        write(tmp_path / "a" / "b")


def test_a_folder_that_cannot_be_written_is_named():
    with pytest.raises(OutputError, match=r"^/proc/minilora: cannot be written: .*choose a folder"):
        write(Path("/proc/minilora"))


def test_a_full_disk_loses_nothing(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OutputError, match=r"a: cannot be written: File too large; raise the"):
            write(path, bytes(10_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a"]


def test_advice_fits_the_reason(tmp_path):
    full = output_error(tmp_path, OSError(errno.ENOSPC, "No space left on device"))
    assert "No space left on device; free some space" in str(full)
    read_only = output_error(tmp_path, OSError(errno.EROFS, "Read-only file system"))
    assert "Read-only file system; choose a folder you may write to" in str(read_only)
