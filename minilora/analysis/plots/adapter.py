"""The figure of an adapter: where it learned, what a lower rank keeps, what it does to the base."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from minilora._types import Array
from minilora.analysis.plots.style import (
    BLUE,
    GREEN,
    GREY,
    HEAD_HEIGHT,
    INK,
    ORANGE,
    PANEL_HEIGHT,
    PIXELS_PER_INCH,
    TEXT,
    WIDTH,
    heading,
    name_ticks,
    panel_title,
    plain_axes,
    png,
    short,
    svg,
)
from minilora.analysis.report import AdapterReport, Grid, LayerReport

WRITTEN_CELLS = 64  # of more cells the numbers are too small to read
_SHADES = LinearSegmentedColormap.from_list("blues", ["#F2F7FA", BLUE])
_MARKS = "osD^vPX*"  # one for each kind of layer, so that no kind is told by colour alone
_COLORS = (BLUE, ORANGE, GREEN)


@dataclass(frozen=True)
class Drawn:
    """A figure as files, and in words."""

    png: bytes
    svg: bytes
    description: str


def adapter_chart(report: AdapterReport) -> Drawn:
    """Draw effective ranks by layer, energy by rank, and amplification where there is a base."""
    with_base = any(layer.base for layer in report.layers)
    grid = report.grid(lambda layer: layer.update.effective_rank)
    panel = max(PANEL_HEIGHT, 0.8 + 0.16 * len(grid.numbers))
    height = HEAD_HEIGHT + panel
    layout = ConstrainedLayoutEngine(
        w_pad=0.08, h_pad=0.05, wspace=0.03, rect=(0, 0, 1, 1 - HEAD_HEIGHT / height)
    )
    figure = Figure(figsize=(WIDTH, height), dpi=PIXELS_PER_INCH, layout=layout)
    places = GridSpec(1, 3 if with_base else 2, figure)
    _draw_map(figure.add_subplot(places[0]), grid)
    _draw_energy(figure.add_subplot(places[1]), report)
    if with_base:
        _draw_amplification(figure.add_subplot(places[2]), report)
    title = f"{report.adapter}: what the adapter learned"
    heading(figure, 0.12, short(title, 90), size=13, weight="bold", color=INK)
    heading(figure, 0.41, _facts(report), size=9.5, color=TEXT)
    description = describe_adapter(report)
    return Drawn(png(figure, title, description), svg(figure, title, description), description)


def describe_adapter(report: AdapterReport) -> str:
    """Say in words what the figure shows: its alternative text."""
    ranks = [layer.update.effective_rank or 0.0 for layer in report.layers]
    most = report.layers[int(np.argmax(ranks))]
    energies = energy_by_rank(report)
    parts = [
        f"{_facts(report)}. Effective rank from {min(ranks):.1f} to {max(ranks):.1f}, "
        f"largest in {most.path}",
        f"rank 1 keeps {energies[0]:.1%} of the update's energy",
    ]
    factors = [x for layer in report.layers if (x := excess_amplification(layer)) is not None]
    if factors:
        parts.append(
            f"amplification from {min(factors):.2g} to {max(factors):.2g} times that of random "
            "directions"
        )
    return "; ".join(parts) + "."


def energy_by_rank(report: AdapterReport) -> Array:
    """Share of Σ ‖ΔW‖_F² that ranks 1, 2, ... keep (r,); 1 throughout when all are zero."""
    energies = np.zeros(max(len(layer.update.values) for layer in report.layers))
    for layer in report.layers:
        energies[: len(layer.update.values)] += np.square(layer.update.values)
    total = energies.sum()
    shares: Array = np.cumsum(energies) / total if total > 0 else np.ones(len(energies))
    return shares


def _facts(report: AdapterReport) -> str:
    n = sum(layer.n_parameters for layer in report.layers)
    return f"{len(report.layers)} adapted layers, {n:,} parameters"


def _draw_map(axes: Axes, grid: Grid) -> None:
    shown = np.ma.masked_invalid(grid.values)
    least, high = float(np.nanmin(grid.values)), float(np.nanmax(grid.values))
    low = min(least, 0.75 * high)  # small differences stay small
    axes.imshow(shown, cmap=_SHADES, aspect="auto", vmin=low, vmax=high)
    axes.spines[:].set_visible(False)
    axes.tick_params(colors=TEXT, labelsize=9, length=0)
    name_ticks(axes.xaxis, [short(kind.rpartition(".")[2], 14) for kind in grid.kinds])
    if len(grid.kinds) > 3:
        axes.tick_params(axis="x", rotation=35)
    axes.yaxis.set_major_locator(MaxNLocator(12, integer=True, min_n_ticks=1))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda row, _: _row_name(grid, row)))
    axes.set_ylabel("layer", size=9.5, color=TEXT)
    panel_title(axes, f"effective rank, from {least:.1f} to {high:.1f}: darker is more")
    if grid.values.size <= WRITTEN_CELLS:
        for (i, j), value in np.ndenumerate(grid.values):
            if np.isfinite(value):
                dark = value > low + 0.85 * (high - low)  # where contrasts are equal
                color = "white" if dark else INK
                axes.text(j, i, f"{value:.1f}", ha="center", va="center", color=color, size=9)


def _row_name(grid: Grid, row: float) -> str:
    if row != int(row) or not 0 <= row < len(grid.numbers):
        return ""
    number = grid.numbers[int(row)]
    return "–" if number is None else str(number)


def _draw_energy(axes: Axes, report: AdapterReport) -> None:
    plain_axes(axes)
    for layer in report.layers:
        energy = np.square(layer.update.values)
        if energy.sum() > 0:
            shares = np.cumsum(energy) / energy.sum()
            axes.plot(range(1, len(shares) + 1), shares, color=GREY, lw=0.7, alpha=0.5)
    shares = energy_by_rank(report)
    axes.plot(range(1, len(shares) + 1), shares, color=BLUE, lw=2.4, marker="o", ms=4)
    axes.axhline(0.99, color=ORANGE, lw=1.1, ls="--")
    axes.annotate(
        "99 %", (1, 0.99), (0, -3), xycoords=("axes fraction", "data"),
        textcoords="offset points", color=TEXT, size=9, ha="right", va="top",
    )  # fmt: skip
    axes.set_ylim(top=1.01)
    axes.set_xlabel("rank")
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{share:.0%}"))
    panel_title(axes, "energy that a rank keeps (bold: all layers)")


def _draw_amplification(axes: Axes, report: AdapterReport) -> None:
    """Over that of random directions, so that 1 is what chance gives and layers compare."""
    plain_axes(axes)
    kinds = list(dict.fromkeys(layer.kind for layer in report.layers))
    for i, kind in enumerate(kinds):
        points = [
            (-1 if layer.number is None else layer.number, excess)
            for layer in report.layers
            if layer.kind == kind and (excess := excess_amplification(layer)) is not None
        ]
        axes.plot(
            [number for number, _ in points], [excess for _, excess in points],
            ls="", ms=6, marker=_MARKS[i % len(_MARKS)], color=_COLORS[i % len(_COLORS)],
            label=short(kind.rpartition(".")[2]),
        )  # fmt: skip
    axes.axhline(1, color=INK, lw=1.1, ls="--")
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.set_ylim(min(low, 0.5), max(high, 2) * 1.4)  # room for the legend
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda factor, _: f"{factor:g}"))
    axes.legend(loc="upper left", fontsize=8.5, labelcolor=TEXT, frameon=False, ncols=3)
    axes.set_xlabel("layer")
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
    panel_title(axes, "amplification beside random directions'")


def excess_amplification(layer: LayerReport) -> float | None:
    """Amplification over that of random directions; below 1 where ΔW strengthens what W does."""
    if layer.base is None:
        return None
    factors = layer.base.amplification
    if factors.both is None or factors.both_random is None:
        return None
    return factors.both / factors.both_random
