"""How many operations a step takes at least: closed forms over an encoder's sizes.

Matrix products only; a multiplication and an addition count as two. Weights (O, I) take per token

    forward                          2 O I     and its update of rank r  2 r (O + I)
    gradient by its input            2 O I                               2 r I
    gradients by what is trained     2 O I                               4 r O + 2 r I

and attention over a sequence of length L 4 L D forward and 2 L D for the gradient of each of the
probabilities, q, k and v. A gradient that reaches nothing trained is not needed: a frozen weight's,
that by the input of layer 0 under LoRA, and that of its key when only query and value adapt.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

PROJECTIONS = ("query", "key", "value")  # those that read a layer's input


@dataclass(frozen=True)
class Sizes:
    """An encoder's, as in its config.json, and how many classes its head tells apart."""

    n_layers: int
    D: int
    F: int
    C: int

    @classmethod
    def read(cls, base: Path, n_classes: int) -> Sizes:
        """From a Hugging Face folder."""
        config = json.loads((base / "config.json").read_text(encoding="utf-8"))
        names = ("num_hidden_layers", "hidden_size", "intermediate_size")
        return cls(*(config[name] for name in names), n_classes)

    @property
    def weights(self) -> dict[str, tuple[int, int]]:
        """(O, I) of each product of a layer."""
        D, F = self.D, self.F
        square = dict.fromkeys((*PROJECTIONS, "attention.output"), (D, D))
        return {**square, "intermediate": (F, D), "output": (D, F)}


@dataclass(frozen=True)
class Work:
    """What a step computes: forward only, or also back to what is trained.

    ``adapted`` are the weights of each layer with an update of rank ``r``; none in full
    fine-tuning, which trains every weight, and in inference, where updates are merged.
    """

    train: bool
    adapted: Collection[str] = ()
    r: int = 0

    @property
    def full(self) -> bool:
        """Whether the weights themselves are trained."""
        return self.train and not self.adapted


def step_flops(sizes: Sizes, work: Work, lengths: Sequence[int]) -> int:
    """Operations of one step over sequences of these lengths."""
    T, squares = sum(lengths), sum(L * L for L in lengths)
    total = T * head(sizes, work)
    for layer in range(sizes.n_layers):
        for name, shape in sizes.weights.items():
            below = work.full or layer > 0 or name not in PROJECTIONS
            total += T * weight(shape, work, adapted=name in work.adapted, below=below)
        total += squares * attention(sizes.D, work, below=work.full or layer > 0)
    return total


def weight(shape: tuple[int, int], work: Work, *, adapted: bool, below: bool) -> int:
    """Per token; ``below`` says whether the gradient by its input is needed."""
    O, I = shape
    r = work.r if adapted else 0
    forward = 2 * O * I + 2 * r * (O + I)
    if not work.train:
        return forward
    by_input = below * (2 * O * I + 2 * r * I)
    return forward + by_input + work.full * 2 * O * I + 4 * r * O + 2 * r * I


def attention(D: int, work: Work, *, below: bool) -> int:
    """Per pair of tokens of a sequence: q kᵀ and p v, and what of their gradients is needed."""
    forward = 4 * D
    if not work.train:
        return forward
    wanted = [name for name in PROJECTIONS if below or name in work.adapted]
    through_p = "query" in wanted or "key" in wanted
    return forward + 2 * D * (len(wanted) + through_p)


def head(sizes: Sizes, work: Work) -> int:
    """Per token: a linear map to the classes, trained in every case."""
    return 2 * sizes.C * sizes.D * (3 if work.train else 1)
