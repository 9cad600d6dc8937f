"""What follows from an adapter's numbers, in sentences."""

from __future__ import annotations

import shlex
import statistics
from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from minilora.analysis.ledger import Ledger
from minilora.analysis.report import LayerReport

ENOUGH = 0.99
"""Share of the energy Σ σ² that a smaller adapter should keep."""
SMALLER = 0.8
"""Share of the rank above which a smaller one is not worth the trouble."""


def advise(layers: Sequence[LayerReport], costs: Ledger, adapter: str) -> list[str]:
    """Say what the numbers of a report suggest; ``adapter`` is what commands call it."""
    silent = [layer for layer in layers if layer.update.frobenius == 0]
    if len(silent) == len(layers):
        return [
            "Nothing was learned: every update is zero, as it is before the first step. Was the "
            "adapter saved before training, or the wrong one opened?"
        ]
    sentences = [*_on_rank(layers, adapter), *_on_places(layers, silent), *_on_cost(layers, costs)]
    if all(layer.base is not None for layer in layers):
        sentences += _on_base(layers)
    return sentences


def _on_rank(layers: Sequence[LayerReport], adapter: str) -> Iterator[str]:
    largest = max(layer.rank for layer in layers)
    smallest = min(layer.rank for layer in layers)
    name = f"r={largest}" if smallest == largest else f"r={smallest} to {largest}"
    used = statistics.fmean(layer.update.effective_rank or 0.0 for layer in layers)
    kept = _energy_kept(layers)
    (reached,) = np.nonzero(kept >= ENOUGH)  # none if the reports keep too few of the values
    enough = int(reached[0]) + 1 if reached.size else largest
    start = f"{name} uses {used:.1f} directions on average (effective rank)"
    if enough > SMALLER * largest:
        yield (
            f"{start}, and it takes r={enough} to keep {ENOUGH:.0%} of the update's energy: the "
            "rank is in use, and a larger one may learn more."
        )
        return
    share = sum(min(layer.rank, enough) * sum(layer.shape) for layer in layers)
    total = sum(layer.n_parameters for layer in layers)
    yield (
        f"{start}; r={enough} keeps {kept[enough - 1]:.1%} of the update's energy with "
        f"{share / total:.0%} of the parameters: "
        f"`{_command(adapter, f'--rank {enough}', f'-r{enough}')}`."
    )
    ranks = [max(1, layer.update.energy_rank_99 or 0) for layer in layers]
    varied = sum(r * sum(layer.shape) for r, layer in zip(ranks, layers, strict=True))
    if min(ranks) < max(ranks):
        yield (
            f"Ranks chosen for each layer, from {min(ranks)} to {max(ranks)}, keep {ENOUGH:.0%} of "
            f"every layer's energy with {varied / total:.0%} of the parameters: "
            f"`{_command(adapter, f'--energy {ENOUGH}', '-small')}`."
        )


def _command(adapter: str, rule: str, ending: str) -> str:
    out = shlex.quote(adapter.rstrip("/") + ending)
    return f"minilora resize {shlex.quote(adapter)} {rule} --out {out}"


def _energy_kept(layers: Sequence[LayerReport]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Share of all layers' energy that the k leading directions of each hold, k = 1, 2, ..."""
    largest = max(len(layer.update.values) for layer in layers)
    energy = np.zeros(largest)
    for layer in layers:
        energy[: len(layer.update.values)] += np.square(layer.update.values)
    cumulated: np.ndarray[tuple[int], np.dtype[np.float64]] = np.cumsum(energy)
    return cumulated / sum(layer.update.frobenius**2 for layer in layers)


def _on_places(layers: Sequence[LayerReport], silent: Sequence[LayerReport]) -> Iterator[str]:
    if silent:
        yield (
            f"{len(silent)} of {len(layers)} updates are zero, the first that of "
            f"{silent[0].path}: leave these layers out of target_modules."
        )
    energy: dict[str, float] = defaultdict(float)
    size: dict[str, int] = defaultdict(int)
    for layer in layers:
        energy[layer.kind] += layer.update.frobenius**2
        size[layer.kind] += layer.n_parameters
    strongest = max(energy, key=energy.__getitem__)
    share = energy[strongest] / sum(energy.values())
    of_parameters = size[strongest] / sum(size.values())
    if len(energy) > 1 and share > 0.5 and share > 1.5 * of_parameters:
        yield (
            f"{share:.0%} of the update's energy is in {strongest}, which has {of_parameters:.0%} "
            "of the parameters: a larger rank there and a smaller one elsewhere may serve better."
        )


def _on_cost(layers: Sequence[LayerReport], costs: Ledger) -> Iterator[str]:
    wide = [x for x in layers if x.rank * sum(x.shape) >= x.shape[0] * x.shape[1]]
    if wide:
        yield (
            f"In {len(wide)} of {len(layers)} layers the factors hold as many numbers as the "
            f"weight or more (break-even rank {costs.break_even_rank:.0f}): train those in full."
        )


def _on_base(layers: Sequence[LayerReport]) -> Iterator[str]:
    bases = [layer.base for layer in layers if layer.base is not None]
    factors = [
        (a.both, a.both_random)
        for a in (base.amplification for base in bases)
        if a.both is not None and a.both_random is not None
    ]
    if factors:
        both, by_chance = (statistics.median(column) for column in zip(*factors, strict=True))
        if both < 0.8 * by_chance:
            meaning = "it strengthens what the base does already"
        elif both > 1.25 * by_chance:
            meaning = "it goes where the base does little"
        else:
            meaning = "it goes where the base is neither strong nor weak"
        yield (
            f"Along its own directions the update is {both:.3g} times as large as the base, where "
            f"random directions would give {by_chance:.3g} (medians): {meaning}."
        )
    looked = [base.intruders for base in bases if base.intruders]
    having = [found for found in looked if any(side.indices for side in found)]
    if having:
        yield (
            f"{len(having)} of {len(looked)} weights have intruder dimensions, strong directions "
            "unlike any of the base; weakening them (mitigate_intruders) can bring back what the "
            "model forgot."
        )
