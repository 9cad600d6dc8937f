import io
import sys

import pytest

from minilora.cli.console import Console
from minilora.cli.progress import Progress, clock
from minilora.train import EpochRecord, StepRecord


class Terminal(io.StringIO):
    def isatty(self):
        return True


def show_two_epochs(monkeypatch, stderr):
    monkeypatch.setattr(sys, "stderr", stderr)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("LINES", "40")
    with Progress(Console(), task="ner", n_epochs=2, n_steps=4) as progress:
        for step in range(1, 5):
            progress.on_step(StepRecord(step, step / 2, 1.0 / step, 0.1, 50))
            if step % 2 == 0:
                dev = {"loss": 0.5, "f1": step / 10}
                progress.on_epoch(EpochRecord(step, step / 2, 0.7, 61.0, dev, is_best=step == 2))


def test_each_epoch_is_a_line_under_its_heading(monkeypatch, capsys):
    show_two_epochs(monkeypatch, io.StringIO())
    heading, first, second = capsys.readouterr().out.splitlines()
    assert heading.split() == [
        "epoch",
        "train",
        "loss",
        "dev",
        "loss",
        "dev",
        "F1",
        "tokens/s",
        "time",
    ]
    assert first.split()[:4] == ["1/2", "0.7000", "0.5000", "0.2000"]
    assert first.endswith("1:01  best so far")
    assert second.split()[-1] == "1:01"
    assert heading.index("time") + 4 == len(second)


def test_a_file_gets_no_bar(monkeypatch):
    file = io.StringIO()
    show_two_epochs(monkeypatch, file)
    assert file.getvalue() == ""


def test_a_terminal_gets_a_bar_with_loss_speed_and_time_left(monkeypatch):
    terminal = Terminal()
    show_two_epochs(monkeypatch, terminal)
    shown = terminal.getvalue()
    for seen in ("epoch 2/2", "loss ", "tokens/s", "left"):
        assert seen in shown
    assert shown.rstrip(" ").endswith("\r")  # and nothing of it stays


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.4, "0:00"), (75, "1:15"), (3599.6, "1:00:00"), (36615, "10:10:15")]
)
def test_times_are_read_as_on_a_clock(seconds, shown):
    assert clock(seconds) == shown
