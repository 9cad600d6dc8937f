"""What the page of a report computes with: numbers of an adapter, few and short."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from minilora._types import Array
from minilora.adapters import LowRankUpdate
from minilora.analysis.compare import Comparison, LayerComparison
from minilora.analysis.intruders import Intruders
from minilora.analysis.pictures import picture
from minilora.analysis.report import AdapterReport, BaseReport, LayerReport
from minilora.analysis.similarity import Similarity

POINTS = 48
"""Singular values of W that a figure shows: all of the first, ever fewer of the rest."""
PICTURE_BYTES = 300_000
"""For pictures of all layers together; of a larger adapter those of the largest norm have one."""

Measure = Callable[[LayerReport], float | None]
MEASURES: Mapping[str, tuple[str, Measure]] = {
    "effective_rank": ("effective rank", lambda x: x.update.effective_rank),
    "energy_rank_99": ("directions with 99 % of the energy", lambda x: x.update.energy_rank_99),
    "stable_rank": ("stable rank", lambda x: x.update.stable_rank),
    "frobenius": ("size ‖ΔW‖", lambda x: x.update.frobenius),
    "relative_norm": (
        "size beside the base ‖ΔW‖ / ‖W‖",
        lambda x: None if x.base is None else x.base.relative_norm,
    ),
    "amplification": (
        "amplification",
        lambda x: None if x.base is None else x.base.amplification.both,
    ),
    "intruders": (
        "intruder dimensions",
        lambda x: None if x.base is None else x.base.intruder_count,
    ),
}
"""What a heat map of layers can show, by the names in `AdapterReport.measures`."""


def page_data(
    report: AdapterReport,
    updates: Sequence[LowRankUpdate],
    comparison: Comparison | None = None,
    *,
    other_bytes: int = 0,
) -> dict[str, Any]:
    """Everything that the page draws, as JSON takes it; numbers have four digits.

    Parameters
    ----------
    report, updates
        An adapter, and what `minilora.analysis.inspect_updates` found in it.
    comparison
        Of it with another adapter.
    other_bytes
        Size of what its file holds beside the factors.
    """
    compared = {layer.path: layer for layer in comparison.layers} if comparison else {}
    pictured = _pictured(report)
    measures = {}
    for name, (label, measure) in MEASURES.items():
        values = [_short(measure(layer)) for layer in report.layers]
        if any(value is not None for value in values):
            means = report.measures.get(name, "")
            measures[name] = {"label": label, "means": means, "values": values}
    return {
        "adapter": report.adapter,
        "otherBytes": other_bytes,
        "measures": measures,
        "layers": [
            _layer(layer, update, compared.get(layer.path), with_picture=layer.path in pictured)
            for layer, update in zip(report.layers, updates, strict=True)
        ],
    }


def _pictured(report: AdapterReport) -> set[str]:
    """Paths of the layers that get a picture: as many as there is room for, the strongest first."""
    taken = 0
    paths: set[str] = set()
    for layer in sorted(report.layers, key=lambda x: -x.update.frobenius):
        taken += 64 * len(layer.update.values) * 4 // 3
        if taken > PICTURE_BYTES and paths:
            break
        paths.add(layer.path)
    return paths


def _layer(
    layer: LayerReport,
    update: LowRankUpdate,
    compared: LayerComparison | None,
    *,
    with_picture: bool,
) -> dict[str, Any]:
    data: dict[str, Any] = {
        "path": layer.path,
        "kind": layer.kind,
        "number": layer.number,
        "shape": list(layer.shape),
        "rank": layer.rank,
        "itemBytes": update.A.dtype.itemsize,
        "values": [_short(s) for s in layer.update.values],
        "energy": _short(layer.update.frobenius**2),
    }
    if layer.base is not None:
        data["base"] = _base(layer.base)
    if compared is not None:
        data["other"] = {
            "cosine": _short(compared.cosine),
            "distance": _short(compared.distance),
            "phi": _phi(compared.similarity),
        }
    if with_picture:
        data["picture"] = _picture(update)
    return data


def _base(base: BaseReport) -> dict[str, Any]:
    factors = base.amplification
    return {
        "weight": _thinned(base.weight.values),
        "adapted": _thinned(base.adapted.values),
        "phi": _phi(base.similarity),
        "amplification": [
            _short(x) for x in (factors.both, factors.both_random, factors.both_leading)
        ],
        "intruders": [_intruders(side) for side in base.intruders],
    }


def _intruders(found: Intruders) -> dict[str, Any]:
    cosines = [_short(c) for c in found.cosines]
    return {"side": found.side, "threshold": found.threshold, "cosines": cosines}


def _phi(similarity: Similarity) -> dict[str, list[list[int]]]:
    """φ in per cent: more than the shades of a heat map tell apart."""
    return {
        side: [[round(100 * x) for x in row] for row in of.values]
        for side, of in (("left", similarity.left), ("right", similarity.right))
    }


def _thinned(values: Sequence[float]) -> list[list[float | None]]:
    """Pairs (i, σ_i), i evenly spread on a logarithmic axis."""
    places = np.unique(np.geomspace(1, len(values), POINTS).round().astype(int))
    return [[int(i), _short(values[i - 1])] for i in places]


def _picture(update: LowRankUpdate) -> dict[str, Any]:
    drawn = picture(update.svd())
    return {
        "rows": drawn.rows.tolist(),
        "columns": drawn.columns.tolist(),
        "left": _quantised(drawn.left.T),
        "right": _quantised(drawn.right),
    }


def _quantised(X: Array) -> dict[str, Any]:
    """Directions (r, n) as whole numbers in -127..127 and what each direction is scaled by."""
    largest = np.abs(X).max(axis=1)
    whole = np.rint(X / np.where(largest > 0, largest, 1)[:, None] * 127).astype(np.int8)
    return {
        "scales": [_short(x / 127) for x in largest],
        "bytes": base64.b64encode(whole.tobytes()).decode("ascii"),
    }


def _short(x: float | None) -> float | None:
    if x is None:
        return None
    return x if isinstance(x, int) else float(f"{x:.4g}")
