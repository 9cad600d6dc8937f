import errno
import json
import os
import platform
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from minilora.errors import CheckpointError, OutputError
from minilora.io import run as module
from minilora.io import save_adapter
from minilora.io.run import METRICS, OWN_FILES, RUN, STATE, RunFolder, versions

ARRAYS = {"a": np.arange(6.0).reshape(2, 3), "n": np.array(7), "none": np.zeros((0, 2), np.float32)}
META = {"n_steps": 3, "said": "größer", "best": None}


def leave_a_run(folder):
    with RunFolder.create(folder):
        (folder / METRICS).write_text("{}\n")


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_new_run_says_when_and_with_what_versions(tmp_path):
    with RunFolder.create(tmp_path / "deep" / "run") as run:
        assert run.info == json.loads((run.path / RUN).read_text())
    assert run.info["status"] == "running"
    assert run.info["versions"]["numpy"] == np.__version__
    assert run.info["started"].endswith("+00:00")


def test_a_package_that_is_missing_has_no_version(monkeypatch):
    monkeypatch.setattr(module, "PACKAGES", ("numpy", "no-such-package"))
    assert versions() == {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "no-such-package": None,
    }


def test_entries_are_added_and_replaced(tmp_path):
    with RunFolder.create(tmp_path) as run:
        run.record(settings={"lr": 0.1}, status="finished")
        run.record(results={"f1": 0.5})
    info = json.loads((tmp_path / RUN).read_text())
    assert (info["settings"], info["status"], info["results"]) == (
        {"lr": 0.1},
        "finished",
        {"f1": 0.5},
    )


def test_an_entry_that_cannot_be_written_leaves_the_record_as_it_was(tmp_path):
    with RunFolder.create(tmp_path) as run:
        before = contents(tmp_path)
        with pytest.raises(ValueError, match="JSON compliant"):
            run.record(loss=float("nan"))
        assert contents(tmp_path) == before
        assert "loss" not in run.info


def test_a_folder_that_holds_a_run_is_refused_and_left_alone(tmp_path):
    leave_a_run(tmp_path)
    before = contents(tmp_path)
    with pytest.raises(OutputError, match=r"holds a run already.*--resume.*--overwrite"):
        RunFolder.create(tmp_path)
    assert contents(tmp_path) == before


def test_overwriting_removes_the_run_and_no_other_file(tmp_path):
    leave_a_run(tmp_path)
    for name in OWN_FILES:
        (tmp_path / name).write_text("old")
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "figures").mkdir()
    with RunFolder.create(tmp_path, overwrite=True) as run:
        assert "settings" not in run.info
    assert sorted(path.name for path in tmp_path.iterdir()) == ["figures", "notes.txt", RUN]


def test_overwriting_removes_the_card_of_the_adapter_that_was_there(tmp_path, adapted):
    leave_a_run(tmp_path)
    save_adapter(adapted, tmp_path)
    with RunFolder.create(tmp_path, overwrite=True):
        assert contents(tmp_path).keys() == {RUN}


def test_overwriting_leaves_a_card_that_a_user_added_to(tmp_path, adapted):
    leave_a_run(tmp_path)
    save_adapter(adapted, tmp_path)
    with (tmp_path / "README.md").open("a") as card:
        card.write("It is for the demo.\n")
    with RunFolder.create(tmp_path, overwrite=True):
        assert contents(tmp_path).keys() == {RUN, "README.md"}


def test_a_file_that_cannot_be_removed_is_said(tmp_path):
    leave_a_run(tmp_path)
    (tmp_path / "report.png").mkdir()
    with pytest.raises(OutputError, match=r"report\.png: cannot be written"):
        RunFolder.create(tmp_path, overwrite=True)


def test_a_file_system_without_locks_is_no_reason_to_refuse(tmp_path, monkeypatch):
    def none(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", none)
    with RunFolder.create(tmp_path) as run:
        assert run.info["status"] == "running"


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("name", ["model.safetensors", "vocab.txt", "report.png"])
def test_files_that_no_run_wrote_are_never_replaced(tmp_path, name, overwrite):
    (tmp_path / name).write_text("a user's")
    with pytest.raises(OutputError, match=f"holds {name}, which no run wrote"):
        RunFolder.create(tmp_path, overwrite=overwrite)
    assert contents(tmp_path) == {name: b"a user's"}


def test_other_files_are_no_reason_to_refuse(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    RunFolder.create(tmp_path).close()
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError, match="a file is where a folder should be"):
        RunFolder.create(tmp_path / "file")


def test_a_read_only_parent_is_refused(tmp_path, monkeypatch):
    def denied(*args, **options):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", denied)  # file modes do not stop root, who may run this
    with pytest.raises(OutputError, match=r"Permission denied; choose a folder you may write to"):
        RunFolder.create(tmp_path / "run")


def test_resuming_needs_a_run(tmp_path):
    with pytest.raises(CheckpointError, match="holds no run to resume"):
        RunFolder.resume(tmp_path)


def test_resuming_a_damaged_run_says_so_and_lets_go(tmp_path):
    leave_a_run(tmp_path)
    (tmp_path / RUN).write_text('{"settings": ')
    for _ in range(2):
        with pytest.raises(CheckpointError, match=r"run\.json:1: the record of the run is not"):
            RunFolder.resume(tmp_path)


def test_resuming_finds_the_record_and_the_state(tmp_path):
    with RunFolder.create(tmp_path) as run:
        run.record(seed=5)
        run.save_state(ARRAYS, META)
    with RunFolder.resume(tmp_path) as run:
        assert run.info["seed"] == 5
        arrays, meta = run.load_state()
    assert meta == META
    assert arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(arrays[name], array)
        assert arrays[name].dtype == array.dtype
        assert arrays[name].flags.owndata


def test_the_same_state_gives_the_same_bytes(tmp_path):
    with RunFolder.create(tmp_path) as run:
        run.save_state(ARRAYS, META)
        first = (tmp_path / STATE).read_bytes()
        run.save_state(ARRAYS, META)
    assert (tmp_path / STATE).read_bytes() == first


def test_a_run_left_before_its_first_state_begins_anew(tmp_path):
    with RunFolder.create(tmp_path) as run:
        run.append_metrics({"step": 1})
    with RunFolder.resume(tmp_path) as run:
        assert run.load_state() is None
    assert not (tmp_path / METRICS).exists()


def test_a_state_that_cannot_be_written_leaves_the_one_before(tmp_path, monkeypatch):
    with RunFolder.create(tmp_path) as run:
        run.save_state(ARRAYS, META)
        before = contents(tmp_path)

        def disk_full(descriptor):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(os, "fsync", disk_full)
        with pytest.raises(OutputError, match="free some space"):
            run.save_state({"a": np.ones(3)}, META)
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda data: data[:-5], "not a whole safetensors file"),
        (lambda data: b"", "not a whole safetensors file"),
        (lambda data: data.replace(b"trainer_state", b"another_thing"), "holds no trainer state"),
        (lambda data: data.replace(b'{\\"n_steps', b'?\\"n_steps'), "holds no trainer state"),
    ],
    ids=["cut short", "empty", "other metadata", "not JSON"],
)
def test_a_damaged_state_is_refused(tmp_path, damage, said):
    with RunFolder.create(tmp_path) as run:
        run.save_state(ARRAYS, META)
        path = tmp_path / STATE
        path.write_bytes(damage(path.read_bytes()))
        with pytest.raises(CheckpointError, match=said):
            run.load_state()


def test_metrics_are_appended_and_rewritten(tmp_path):
    with RunFolder.create(tmp_path) as run:
        for step in (1, 2, 3):
            run.append_metrics({"step": step})
        run.write_metrics([{"step": 1}, {"step": 2}])
        run.append_metrics({"step": 3, "best": "größer"})
    lines = (tmp_path / METRICS).read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == [
        {"step": 1},
        {"step": 2},
        {"step": 3, "best": "größer"},
    ]


def test_metrics_that_cannot_be_written_are_an_output_error(tmp_path):
    with RunFolder.create(tmp_path) as run:
        (tmp_path / METRICS).mkdir()
        with pytest.raises(OutputError, match="remove that directory"):
            run.append_metrics({"step": 1})


@pytest.mark.skipif(os.name != "posix", reason="folders are not locked on Windows")
@pytest.mark.parametrize("enter", [RunFolder.resume, lambda p: RunFolder.create(p, overwrite=True)])
def test_a_folder_in_use_is_refused_until_it_is_closed(tmp_path, enter):
    run = RunFolder.create(tmp_path)
    before = contents(tmp_path)
    with pytest.raises(OutputError, match="another process is training in it"):
        enter(tmp_path)
    assert contents(tmp_path) == before
    run.close()
    enter(tmp_path).close()


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
@pytest.mark.slow
def test_a_kill_at_any_moment_leaves_a_whole_state_and_an_open_folder(tmp_path, rng):
    script = textwrap.dedent(
        f"""
        import numpy as np
        from minilora.io.run import RunFolder
        with RunFolder.resume({str(tmp_path)!r}) as run:
            print("ready", flush=True)
            for i in range(1_000_000):
                run.append_metrics({{"step": i}})
                run.save_state({{"a": np.full(200_000, i), "b": np.full(9, i)}}, {{"n_steps": i}})
        """
    )
    RunFolder.create(tmp_path).close()
    n_steps = []
    for _ in range(10):
        command = [sys.executable, "-c", script]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout.readline() == b"ready\n"
            time.sleep(0.1 + rng.uniform(0, 0.1))
            process.send_signal(signal.SIGKILL)
        with RunFolder.resume(tmp_path) as run:
            arrays, meta = run.load_state()
        assert set(arrays["a"]) == set(arrays["b"]) == {meta["n_steps"]}
        assert sorted(contents(tmp_path)) == sorted([RUN, METRICS, STATE])
        n_steps.append(meta["n_steps"])
    assert len(set(n_steps)) > 1


def test_a_run_that_cannot_begin_lets_go_of_the_folder(tmp_path, monkeypatch):
    def disk_full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(os, "fsync", disk_full)
        with pytest.raises(OutputError, match="free some space"):
            RunFolder.create(tmp_path)
    assert contents(tmp_path) == {}
    RunFolder.create(tmp_path).close()


def test_a_file_that_cannot_be_removed_keeps_the_old_run(tmp_path):
    leave_a_run(tmp_path)
    (tmp_path / METRICS).unlink()
    (tmp_path / METRICS).mkdir()
    record = (tmp_path / RUN).read_bytes()
    with pytest.raises(OutputError, match=METRICS):
        RunFolder.create(tmp_path, overwrite=True)
    assert (tmp_path / RUN).read_bytes() == record


def test_a_folder_that_cannot_be_opened_is_an_output_error(tmp_path, monkeypatch):
    leave_a_run(tmp_path)

    def denied(*args, **options):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", denied)
    with pytest.raises(OutputError, match="Permission denied; choose a folder you may write to"):
        RunFolder.resume(tmp_path)


@pytest.mark.skipif(os.name != "posix", reason="folders are not locked on Windows")
def test_a_file_system_without_locks_is_gone_on_with(tmp_path, monkeypatch):
    def unsupported(descriptor, operation):
        raise OSError(errno.EBADF, "Bad file descriptor")

    monkeypatch.setattr("fcntl.flock", unsupported)
    RunFolder.create(tmp_path).close()
    assert (tmp_path / RUN).exists()


def test_a_run_without_a_folder_is_refused():
    with pytest.raises(OutputError, match="--out: is empty; expected a folder"):
        RunFolder.create("")
