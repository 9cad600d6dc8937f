import json
import sys

import pytest

from minilora.cli.console import Console, paint


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)


def test_people_get_text_and_no_json(capsys):
    console = Console()
    console.say("one", "two")
    console.finish({"answer": 42})
    assert capsys.readouterr().out == "one\ntwo\n"


def test_programs_get_one_object_with_the_notes(capsys):
    console = Console(as_json=True)
    console.say("one")
    console.note("converted")
    console.finish({"label": "中"})
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line) == {"label": "中", "notes": ["converted"]}


def test_notes_are_seen_by_people_too(capsys):
    Console().note("3 tags converted")
    assert capsys.readouterr().out == "note: 3 tags converted\n"


def test_notes_can_stand_aside(capsys):
    console = Console(notes_aside=True)
    console.say("result")
    console.note("converted")
    assert capsys.readouterr() == ("result\n", "note: converted\n")


def test_a_pipe_gets_no_colour():
    assert paint("x", "red") == "x"


@pytest.mark.usefixtures("terminal")
def test_a_terminal_gets_colour():
    assert paint("x", "red") == "\x1b[31mx\x1b[0m"


@pytest.mark.usefixtures("terminal")
def test_no_color_is_respected(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    assert paint("x", "red") == "x"
