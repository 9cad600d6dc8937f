import sys
from pathlib import Path

import numpy as np
import pytest

from minilora.cli.demo_texts import LONGEST, Case, draw, make_cases
from minilora.text import Corpus, Example, Sentence
from minilora.train import ClassPrediction, TagPrediction

NAMES = ("O", "B-LOC", "I-LOC", "B-PER", "I-PER")


def tagged(*tags):
    return TagPrediction(list(tags), np.ones(len(tags)))


@pytest.fixture
def sentences():
    rows = [
        Sentence(["Anna", "Vale", "left"], ["B-PER", "I-PER", "O"], 1),
        Sentence(["Lund", "is", "far"], ["B-LOC", "O", "O"], 5),
    ]
    return Corpus(path=Path("test.conll"), task="ner", rows=rows)


@pytest.fixture
def cases(sentences):
    """The first right after training, the second still wrong."""
    before = [tagged("O", "B-LOC", "O"), tagged("O", "O", "O")]
    after = [tagged("B-PER", "I-PER", "O"), tagged("B-PER", "O", "O")]
    return make_cases(sentences, before, after)


@pytest.fixture
def texts():
    rows = [Example("where is it", None, "parcel", 2), Example("thanks", None, "praise", 3)]
    corpus = Corpus(path=Path("test.tsv"), task="classify", rows=rows)
    parcel, praise = (ClassPrediction(name, np.ones(2)) for name in ("parcel", "praise"))
    return make_cases(corpus, [praise, praise], [parcel, parcel])


def test_a_sentence_is_right_when_all_its_names_are(cases):
    assert [case.right for case in cases] == [True, False]


def test_a_sentence_is_shown_before_and_after(cases):
    assert cases[0].lines(NAMES) == [
        "  before         Anna [Vale LOC] left",
        "  after   right  [Anna Vale PER] left",
    ]


def test_a_mistake_is_shown_beside_the_truth(cases):
    assert cases[1].lines(NAMES) == [
        "  before         Lund is far",
        "  after   wrong  [Lund PER] is far",
        "  truth          [Lund LOC] is far",
    ]


def test_a_text_is_shown_above_its_labels(texts):
    assert [case.lines(["parcel", "praise"]) for case in texts] == [
        ["  where is it", "  before         praise", "  after   right  parcel"],
        [
            "  thanks",
            "  before         praise",
            "  after   wrong  parcel",
            "  truth          praise",
        ],
    ]


def test_programs_get_the_names_with_their_places(cases):
    found = cases[0].to_json()
    assert found["after"] == [{"type": "PER", "text": "Anna Vale", "start": 0, "end": 9}]
    assert (found["true"], found["right"]) == (found["after"], True)


@pytest.mark.parametrize("no_color", [True, False])
def test_colours_are_for_terminals_that_want_them(cases, no_color, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("NO_COLOR", "1" if no_color else "")
    assert any("\x1b[" in line for line in cases[1].lines(NAMES)) is not no_color


class TestDraw:
    """Which cases are shown."""

    @pytest.fixture
    def many(self):
        """Twenty that are right, twenty that are not."""
        return [Case(f"text {i}", "a", "b", "ab"[i % 2]) for i in range(40)]

    def test_right_ones_come_first(self, many):
        drawn = draw(many, n_right=3, n_wrong=2, seed=0)
        assert [case.right for case in drawn] == [True] * 3 + [False] * 2

    def test_the_seed_decides(self, many):
        first, again, other = (draw(many, n_right=3, n_wrong=2, seed=s) for s in (0, 0, 1))
        assert first == again != other

    def test_there_may_be_fewer(self, many):
        right = [case for case in many if case.right]
        assert len(draw(right[:2], n_right=3, n_wrong=2, seed=0)) == 2

    def test_long_texts_and_such_without_names_are_left_out(self):
        name = [{"type": "LOC", "text": "x", "start": 0, "end": 1}]
        long, short = "x" * (LONGEST + 1), "x" * LONGEST
        cases = [Case(long, name, [], name), Case("x", [], [], []), Case(short, name, [], name)]
        assert draw(cases, n_right=3, n_wrong=2, seed=0) == cases[2:]
