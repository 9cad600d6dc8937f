"""Some test texts of a demo: what the model said of them before and after training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from minilora.cli.console import paint
from minilora.cli.predict import bracketed
from minilora.cli.texts import Text, texts_of
from minilora.text import Corpus, Example
from minilora.text.bio import spans
from minilora.train import ClassPrediction, TagPrediction

Answer: TypeAlias = "str | list[dict[str, Any]]"
"""A label, or the entities in a text: type, text, start and end."""
Prediction: TypeAlias = "TagPrediction | ClassPrediction"

LONGEST = 120  # characters of a text that is shown
_STREAM = 4  # of random numbers, beside those of training, holding out and folds


@dataclass(frozen=True)
class Case:
    """A text, what is true of it, and what the model said before and after training."""

    text: str
    true: Answer
    before: Answer
    after: Answer

    @property
    def right(self) -> bool:
        """Whether training got it there, all of it."""
        return self.after == self.true

    def to_json(self) -> dict[str, Any]:
        """As a dictionary of what JSON can say."""
        answers = {"before": self.before, "after": self.after, "true": self.true}
        return {"text": self.text, **answers, "right": self.right}

    def lines(self, names: Sequence[str]) -> list[str]:
        """For people; ``names`` are the model's labels."""
        verdict = paint("right", "green") if self.right else paint("wrong", "red")
        rows = [("before", " " * 5, self.before), ("after", verdict, self.after)]
        if not self.right:
            rows.append(("truth", " " * 5, self.true))
        above = [] if isinstance(self.true, list) else [f"  {self.text}"]
        shown = [f"  {when:6}  {mark}  {_shown(self.text, of, names)}" for when, mark, of in rows]
        return above + shown


def make_cases(
    corpus: Corpus, before: Sequence[Prediction], after: Sequence[Prediction]
) -> list[Case]:
    """A case for each row of the test data."""
    return [
        Case(text.text, true, _answer(text, first), _answer(text, last))
        for text, true, first, last in zip(
            texts_of(corpus), _truths(corpus), before, after, strict=True
        )
    ]


def draw(cases: Sequence[Case], *, n_right: int, n_wrong: int, seed: int) -> list[Case]:
    """Draw cases that are right, then some that are wrong, from the short ones that have answers.

    Where there are fewer of a kind, there are fewer.
    """
    order = np.random.default_rng([seed, _STREAM]).permutation(len(cases))
    shown = [cases[i] for i in order if cases[i].true and len(cases[i].text) <= LONGEST]
    right, wrong = ([case for case in shown if case.right is r] for r in (True, False))
    return [*right[:n_right], *wrong[:n_wrong]]


def _truths(corpus: Corpus) -> list[Answer]:
    if corpus.task == "classify":
        return [row.label for row in corpus.rows if isinstance(row, Example)]
    tags = [row.tags for row in corpus.rows if not isinstance(row, Example)]
    return [_entities(text, of) for text, of in zip(texts_of(corpus), tags, strict=True)]


def _answer(text: Text, prediction: Prediction) -> Answer:
    if isinstance(prediction, ClassPrediction):
        return prediction.label
    return _entities(text, prediction.tags)


def _entities(text: Text, tags: Sequence[str]) -> list[dict[str, Any]]:
    found = []
    for kind, first, last in spans(tags):
        start, end = text.words[first][0], text.words[last - 1][1]
        found.append({"type": kind, "text": text.text[start:end], "start": start, "end": end})
    return found


def _shown(text: str, answer: Answer, names: Sequence[str]) -> str:
    return bracketed(text, answer, names) if isinstance(answer, list) else paint(answer, "bold")
