"""All measures of an adapter in one report, with advice in words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

import numpy as np

from minilora._types import Array, Rng
from minilora.adapters import LowRankUpdate
from minilora.analysis.advice import advise
from minilora.analysis.amplification import amplification
from minilora.analysis.intruders import find_intruders
from minilora.analysis.ledger import ledger
from minilora.analysis.report import MEANINGS, AdapterReport, BaseReport, LayerReport
from minilora.analysis.similarity import similarity
from minilora.analysis.spectrum import leading_spectrum, spectrum
from minilora.analysis.weights import AdaptedWeight, base_weight
from minilora.errors import ConfigError, NumericError
from minilora.linalg import SVD, one_blas_thread, randomized_svd, svd

LARGEST_DENSE = 2048
"""Smaller side up to which a base weight is decomposed whole; of larger ones only what leads."""
LEADING = 64
"""Singular triplets that are computed of a larger base weight."""
SMALL = 2**25
"""Entries up to which a weight in half precision is turned into float32 once, not in each pass."""
DEPTH = 16
"""Directions of φ tables."""


@one_blas_thread()
def inspect_updates(
    updates: Iterable[LowRankUpdate],
    *,
    base: Mapping[str, Array] | None = None,
    adapter: str = "ADAPTER",
    notes: Iterable[str] = (),
    rng: Rng | None = None,
    largest_dense: int = LARGEST_DENSE,
    on_layer: Callable[[LayerReport], None] | None = None,
) -> AdapterReport:
    """Measure every layer of an adapter.

    Parameters
    ----------
    updates
        What `minilora.io.read_updates` found.
    base
        The base model's tensors by name; each is asked for once and let go before the next, so a
        mapping that reads from a file needs memory for one.
    adapter
        What to call the adapter in the advice: its folder.
    notes
        What the reader should know beforehand, put first among the report's notes.
    rng
        Source of the sketches of base weights too large to decompose whole; default: a fixed seed.
    largest_dense
        Up to which smaller side base weights are decomposed whole. Above, spectra are of the
        `LEADING` triplets and intruders are not looked for.
    on_layer
        Called with each layer when it is done.

    Raises
    ------
    ConfigError
        When there are no updates.
    CheckpointError
        When the base lacks a weight, or has it in another shape.
    NumericError
        When a factor or weight holds NaN or infinity.
    """
    updates = list(updates)
    if not updates:
        raise ConfigError("inspect: the adapter has no updates; at least one was expected.")
    rng = np.random.default_rng(0) if rng is None else rng
    layers: list[LayerReport] = []
    for update in updates:
        try:
            layers.append(_inspect(update, base, rng=rng, largest_dense=largest_dense))
        except NumericError as error:
            raise NumericError(f"{update.path}: {error}") from error
        if on_layer is not None:
            on_layer(layers[-1])
    notes = [*notes]
    n_large = sum(x.base is not None and not x.base.weight.complete for x in layers)
    if n_large:
        notes.append(
            f"{n_large} base weights have both sides above {largest_dense}: of these, spectra show "
            f"the {LEADING} leading singular values, from a randomised sketch, and intruder "
            "dimensions, which need all, were not looked for."
        )
    costs = ledger(updates)
    return AdapterReport(
        adapter=adapter,
        layers=tuple(layers),
        ledger=costs,
        measures=MEANINGS,
        advice=tuple(advise(layers, costs, adapter)),
        notes=tuple(notes),
    )


def _inspect(
    update: LowRankUpdate, base: Mapping[str, Array] | None, *, rng: Rng, largest_dense: int
) -> LayerReport:
    of_update = update.svd()
    of_base = None
    if base is not None:
        W = base_weight(base, update)
        if min(W.shape) <= largest_dense:
            of_base = _inspect_dense(W, of_update)
        else:
            of_base = _inspect_large(W, update, of_update, rng)
    number = re.search(r"(?:^|\.)(\d+)\.", update.path)
    return LayerReport(
        path=update.path,
        kind=update.path[number.end() :] if number else update.path,
        number=int(number[1]) if number else None,
        shape=update.shape,
        rank=update.rank,
        scale=update.scale,
        n_parameters=update.n_parameters,
        update=spectrum(of_update.S, update.shape),  # float64, whatever the factors were saved in
        base=of_base,
    )


def _inspect_dense(W: Array, of_update: SVD) -> BaseReport:
    """By the whole singular value decompositions of W and W + ΔW, in float64."""
    of_W = svd(W)
    of_adapted = svd(W + of_update.matrix())
    return BaseReport(
        weight=spectrum(of_W.S, W.shape),
        adapted=spectrum(of_adapted.S, W.shape),
        relative_norm=_ratio(of_update.S, of_W.S),
        amplification=amplification(of_update, W, base_values=of_W.S),
        similarity=similarity(of_update, of_W, depth=DEPTH),
        intruders=(
            find_intruders(of_W, of_adapted, side="left"),
            find_intruders(of_W, of_adapted, side="right"),
        ),
    )


def _inspect_large(W: Array, update: LowRankUpdate, of_update: SVD, rng: Rng) -> BaseReport:
    """By sketches of W and W + ΔW, which are gone through in blocks and never formed."""
    if W.size <= SMALL:
        W = W.astype(np.result_type(W, np.float32), copy=False)
    weight, adapted = AdaptedWeight(W), AdaptedWeight(W, update)
    leading = min(LEADING, *W.shape)
    of_W = randomized_svd(weight, leading, rng=rng)
    of_adapted = randomized_svd(adapted, leading, rng=rng)
    size = weight.frobenius()
    return BaseReport(
        weight=leading_spectrum(of_W.S, size),
        adapted=leading_spectrum(of_adapted.S, adapted.frobenius()),
        relative_norm=_ratio(of_update.S, np.array([size])),
        amplification=amplification(of_update, W, base_values=of_W.S),
        similarity=similarity(of_update, of_W, depth=DEPTH),
        intruders=(),
    )


def _ratio(values: Array, base_values: Array) -> float | None:
    size = float(np.linalg.norm(base_values))
    return float(np.linalg.norm(values)) / size if size > 0 else None
