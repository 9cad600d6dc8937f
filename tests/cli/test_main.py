import os
import signal
import subprocess
import sys
import time

import pytest

from minilora.cli import main as main_module
from minilora.cli.main import COMMANDS, main
from minilora.errors import ConfigError


def run_python(code, **options):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, **options
    )


@pytest.mark.parametrize("words", [[], ["-h"], ["--help"], ["help"]])
def test_help_shows_every_command(words, capsys):
    assert main(words) == 0
    shown = capsys.readouterr().out
    for name in COMMANDS:
        assert f"\n  {name} " in shown


def test_help_answers_before_anything_heavy_is_loaded():
    heavy = ["numpy", "numba", "scipy", "matplotlib", "safetensors", "tqdm"]
    code = (
        "import sys\nfrom minilora.cli.main import main\nmain(['--help'])\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    assert run_python(code).stdout.splitlines()[-1] == "[]"


def test_help_answers_at_once():
    def seconds():
        start = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "minilora", "--help"], check=True, capture_output=True
        )
        return time.perf_counter() - start

    def bare():
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", "pass"], check=True)
        return time.perf_counter() - start

    # Against the bare interpreter in turn, since a busy machine is slow at both.
    assert min(seconds() - bare() for _ in range(3)) < 0.3


def test_version_is_the_installed_one(capsys):
    from importlib.metadata import version

    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"minilora {version('minilora')}\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_with_an_example(name, capsys):
    assert main([name, "--help"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"usage: minilora {name}")
    assert f"\n  minilora {name}" in shown


def test_a_misspelt_command_is_answered_with_the_nearest(capsys):
    assert main(["trian"]) == 2
    assert "no command 'trian'. Did you mean 'train'?" in capsys.readouterr().err


@pytest.fixture
def failing(monkeypatch):
    """Make `minilora ...` raise what the test hands over."""

    def fail(error):
        def dispatch(words):
            raise error

        monkeypatch.setattr(main_module, "dispatch", dispatch)

    return fail


def test_a_mistake_of_the_user_is_one_line_and_exit_code_2(failing, capsys):
    failing(ConfigError("r: got 0;\nat least 1 was expected"))
    assert main([]) == 2
    assert capsys.readouterr().err == "r: got 0; at least 1 was expected\n"


def test_ctrl_c_says_what_the_command_says_about_it(failing, capsys):
    failing(KeyboardInterrupt("stopped; saved"))
    assert main([]) == 130
    assert capsys.readouterr().err == "stopped; saved\n"


def test_too_little_memory_is_no_traceback(failing, capsys):
    failing(MemoryError("Unable to allocate 8.00 TiB"))
    assert main([]) == 2
    said = capsys.readouterr().err
    assert "8.00 TiB" in said
    assert "--batch-size" in said


def test_what_the_system_refuses_is_one_line(failing, capsys):
    failing(PermissionError(13, "Permission denied", "runs/ner"))
    assert main([]) == 2
    assert capsys.readouterr().err == "runs/ner: Permission denied\n"


def test_a_bug_keeps_its_traceback(failing):
    failing(KeyError("surprise"))
    with pytest.raises(KeyError):
        main([])


def test_a_reader_that_went_away_is_no_news():
    # The shell's `minilora --help | true`, with the reader gone for certain before we write.
    code = (
        "import os, sys\nread, write = os.pipe()\nos.dup2(write, 1)\nos.close(read)\n"
        "os.close(write)\nfrom minilora.cli.main import main\nsys.exit(main(['--help']))"
    )
    done = run_python(code)
    assert (done.returncode, done.stderr) == (141, "")


def test_ctrl_c_before_anything_is_done_is_quiet():
    code = (
        "import os, signal\nfrom minilora.cli import main as m\n"
        "m.dispatch = lambda words: os.kill(os.getpid(), signal.SIGINT)\n"
        "raise SystemExit(m.main([]))"
    )
    done = run_python(code)
    assert (done.returncode, done.stderr) == (128 + signal.SIGINT, "interrupted\n")


def test_what_the_terminal_cannot_show_is_escaped():
    code = "from minilora.cli.main import main\nmain(['--help'])\nprint('\\u4e2d')"
    done = run_python(code, env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert done.stdout.endswith("\\u4e2d\n")
