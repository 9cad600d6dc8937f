"""What inspection of an adapter finds, as plain values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from minilora._types import Array
from minilora.analysis.amplification import Amplification
from minilora.analysis.intruders import Intruders
from minilora.analysis.ledger import MEANINGS as COST_MEANINGS
from minilora.analysis.ledger import Ledger
from minilora.analysis.similarity import Similarity
from minilora.analysis.spectrum import MEANINGS as SPECTRUM_MEANINGS
from minilora.analysis.spectrum import Spectrum

MEANINGS = {
    **SPECTRUM_MEANINGS,
    **COST_MEANINGS,
    "relative_norm": "‖ΔW‖_F / ‖W‖_F: how large the update is beside the weight it changes.",
    "amplification": "‖ΔW‖_F / ‖UᵀWV‖_F: how much more of ΔW than of W is along ΔW's directions.",
    "similarity": "φ(i, j): overlap of the first i directions of ΔW with the first j of W.",
    "intruders": "Leading directions of W + ΔW with a cosine below ε to every direction of W.",
}
"""One line for each measure of a report."""


@dataclass(frozen=True, kw_only=True)
class BaseReport:
    """What an update does to its base weight W."""

    weight: Spectrum
    adapted: Spectrum
    relative_norm: float | None
    amplification: Amplification
    similarity: Similarity
    intruders: tuple[Intruders, ...]
    """For left and right singular vectors; empty where W is too large to decompose whole."""

    @property
    def intruder_count(self) -> int | None:
        """Among the left singular vectors, as the paper counts; None where it was not looked."""
        return len(self.intruders[0].indices) if self.intruders else None


@dataclass(frozen=True, kw_only=True)
class LayerReport:
    """One adapted layer.

    ``number`` is the layer of the model it is in, the first number of its path; ``kind`` the names
    after that number, such as ``attention.self.query``.
    """

    path: str
    kind: str
    number: int | None
    shape: tuple[int, int]
    rank: int
    scale: float
    n_parameters: int
    update: Spectrum
    base: BaseReport | None


@dataclass(frozen=True, kw_only=True)
class AdapterReport:
    """What an adapter learned, layer by layer; plain values all through.

    Attributes
    ----------
    adapter
        What it is called, as given.
    layers
        In the order of the adapter.
    ledger
        What it costs.
    measures
        One line for each measure: what it means.
    advice
        Sentences, computed from the numbers above.
    notes
        What was left out or approximated, and why.
    """

    adapter: str
    layers: tuple[LayerReport, ...]
    ledger: Ledger
    measures: dict[str, str]
    advice: tuple[str, ...]
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """As dictionaries, lists, strings, numbers and None."""
        return asdict(self)

    def grid(self, measure: Callable[[LayerReport], float | None]) -> Grid:
        """A measure by layer number and kind, for a heat map; None leaves its cell empty."""
        numbers = sorted({x.number for x in self.layers}, key=lambda n: -1 if n is None else n)
        kinds = list(dict.fromkeys(layer.kind for layer in self.layers))
        values = np.full((len(numbers), len(kinds)), np.nan)
        for layer in self.layers:
            value = measure(layer)
            if value is not None:
                values[numbers.index(layer.number), kinds.index(layer.kind)] = value
        return Grid(tuple(numbers), tuple(kinds), values)


@dataclass(frozen=True, eq=False)
class Grid:
    """Rows: layer numbers; columns: kinds of layer; values (rows, columns), NaN where none is."""

    numbers: tuple[int | None, ...]
    kinds: tuple[str, ...]
    values: Array
