"""The report of a training run: loss, learning rate, dev score, and scores by class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator

from minilora._types import Array
from minilora.analysis.plots.style import (
    BLUE,
    GREEN,
    GREY,
    HEAD_HEIGHT,
    INK,
    ORANGE,
    PALE,
    PALE_BLUE,
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
)

SIDE_BY_SIDE = 8  # more classes than this get a row of their own
SHOWN = 30  # more classes than this, and only the weakest are drawn


@dataclass(frozen=True, kw_only=True)
class TrainingRun:
    """What `training_report` draws.

    Attributes
    ----------
    title, facts
        Two lines above the figure.
    losses, rates
        Training loss and learning rate at each step.
    dev_scores, score_name, best_epoch
        A score in [0, 1] after each epoch, what it is called, and the epoch that was kept (from 1).
    split
        The data that the last panel is about, such as ``"test"``.
    classes
        ``precision``, ``recall``, ``f1`` and ``support`` of every class or entity type.
    confusion
        For classification: counts (C, C), rows true, columns predicted, in the order of `classes`.
    """

    title: str
    facts: str
    losses: Sequence[float]
    rates: Sequence[float]
    dev_scores: Sequence[float]
    score_name: str
    best_epoch: int
    split: str
    classes: Mapping[str, Mapping[str, float]]
    confusion: Array | None = None


def training_report(run: TrainingRun) -> bytes:
    """Draw loss and learning rate, dev score, and scores by class; return a PNG file."""
    n_rows = min(len(run.classes), SHOWN)
    below = n_rows > SIDE_BY_SIDE
    detail_height = 1.0 + 0.3 * n_rows
    height = HEAD_HEIGHT + PANEL_HEIGHT + (detail_height if below else 0.0)
    layout = ConstrainedLayoutEngine(
        w_pad=0.08, h_pad=0.05, wspace=0.03, hspace=0.02, rect=(0, 0, 1, 1 - HEAD_HEIGHT / height)
    )
    figure = Figure(figsize=(WIDTH, height), dpi=PIXELS_PER_INCH, layout=layout)
    if below:
        ratios = (PANEL_HEIGHT * 0.75, PANEL_HEIGHT * 0.25, detail_height)
        grid = GridSpec(3, 2, figure, width_ratios=(1.3, 1), height_ratios=ratios)
        detail = figure.add_subplot(grid[2, :])
    else:
        grid = GridSpec(2, 3, figure, width_ratios=(1.15, 0.85, 1.3), height_ratios=(3, 1))
        detail = figure.add_subplot(grid[:, 2])
    loss = figure.add_subplot(grid[0, 0])
    rate = figure.add_subplot(grid[1, 0], sharex=loss)
    dev = figure.add_subplot(grid[:2, 1])

    for axes in (loss, rate, dev, detail):
        plain_axes(axes)
    _draw_loss(loss, run)
    _draw_rate(rate, run)
    _draw_dev(dev, run)
    if run.confusion is not None and len(run.classes) <= SHOWN:
        _draw_confusion(detail, run.confusion, list(run.classes), run.split)
    else:
        _draw_classes(detail, run.classes, run.split)
    heading(figure, 0.12, short(run.title, 90), size=13, weight="bold", color=INK)
    heading(figure, 0.41, short(run.facts, 150), size=9.5, color=TEXT)
    return png(figure, run.title, describe(run))


def describe(run: TrainingRun) -> str:
    """Say in words what the figure shows: its alternative text."""
    best = run.dev_scores[run.best_epoch - 1]
    scores = ", ".join(f"{name} {of['f1']:.2f}" for name, of in _weakest(run.classes).items())
    return (
        f"Training report. {run.title}; {run.facts}. "
        f"Training loss goes from {run.losses[0]:.3g} to {run.losses[-1]:.3g} "
        f"in {len(run.losses):,} steps. Dev {run.score_name} is best in epoch {run.best_epoch} "
        f"of {len(run.dev_scores)}: {best:.3f}. F1 on the {run.split} data: {scores}."
    )


def _draw_loss(axes: Axes, run: TrainingRun) -> None:
    steps = np.arange(1, len(run.losses) + 1)
    window = max(1, len(steps) // 25)
    axes.plot(steps, run.losses, color=BLUE, alpha=0.3, lw=0.9, marker=_marker(steps, 2))
    axes.plot(steps, _running_mean(run.losses, window), color=BLUE, lw=1.8)
    axes.set_ylim(bottom=0)
    axes.tick_params(labelbottom=False)
    if len(run.dev_scores) <= 20:
        for end in np.linspace(0, len(steps), len(run.dev_scores) + 1)[1:-1]:
            axes.axvline(end + 0.5, color=GREY, lw=0.7, ls=":")
    panel_title(axes, "training loss" + (f" (line: mean of {window} steps)" if window > 1 else ""))


def _draw_rate(axes: Axes, run: TrainingRun) -> None:
    steps, highest = np.arange(1, len(run.rates) + 1), max(run.rates) or 1.0
    axes.fill_between(steps, run.rates, color=ORANGE, alpha=0.25, lw=0)
    axes.plot(steps, run.rates, color=ORANGE, lw=1.4, marker=_marker(steps, 2))
    axes.set_ylim(0, 1.5 * highest)
    axes.set_yticks([highest], [f"{highest:.3g}"])
    axes.set_xlabel("step")
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1))
    axes.text(
        0.995, 0.98, "learning rate", transform=axes.transAxes, ha="right", va="top", color=TEXT,
        size=9,
    )  # fmt: skip


def _draw_dev(axes: Axes, run: TrainingRun) -> None:
    n, best = len(run.dev_scores), run.best_epoch
    epochs, score = np.arange(1, n + 1), run.dev_scores[best - 1]
    axes.plot(epochs, run.dev_scores, color=GREEN, lw=1.8, ms=4, marker=_marker(epochs, 30))
    axes.plot([best], [score], "o", ms=12, mfc="none", mec=INK, mew=1.3)
    low, high = min(run.dev_scores), max(run.dev_scores)
    room = max(high - low, 0.1)
    axes.set_ylim(low - 0.25 * room, high + 0.35 * room)
    axes.set_xlim(0.5, n + 0.5)
    sides = {0: "left", n - 1: "right"} if n > 1 else {}
    axes.annotate(
        f"best: {score:.3f}", (best, score), (0, 11), textcoords="offset points",
        ha=sides.get(best - 1, "center"), va="bottom", color=INK, weight="bold",
    )  # fmt: skip
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
    panel_title(axes, f"dev {run.score_name}")


def _draw_classes(axes: Axes, classes: Mapping[str, Mapping[str, float]], split: str) -> None:
    shown = _weakest(classes)
    rows = range(len(shown))
    f1, precision, recall = (
        [of[score] for of in shown.values()] for score in ("f1", "precision", "recall")
    )
    axes.barh(rows, f1, height=0.64, color=PALE_BLUE, label="F1")
    axes.plot(precision, rows, "o", ms=6, color=BLUE, label="precision")
    axes.plot(recall, rows, "D", ms=5.5, color=ORANGE, label="recall")
    for row, value in zip(rows, f1, strict=True):
        axes.text(0.015, row, f"{value:.2f}", va="center", color=INK, size=9)
    names = [f"{short(name)}  n={of['support']:,.0f}" for name, of in shown.items()]
    name_ticks(axes.yaxis, names)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.set_xlim(0, 1.02)
    axes.grid(axis="x", color=PALE, lw=0.7)
    axes.grid(axis="y", visible=False)
    panel_title(axes, split if len(shown) == len(classes) else f"{split}: the {len(shown)} weakest")
    axes.legend(
        loc="lower right", bbox_to_anchor=(1.0, 1.005), ncols=3, frameon=False, fontsize=9,
        handletextpad=0.4, columnspacing=1.2, borderaxespad=0.0,
    )  # fmt: skip


def _draw_confusion(axes: Axes, counts: Array, names: Sequence[str], split: str) -> None:
    C = len(names)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)  # (C, C) of each true class
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1.1, aspect="auto")
    for i, j in np.argwhere(counts):
        axes.text(
            j, i, f"{counts[i, j]:,}", ha="center", va="center", size=9 if C <= 12 else 7.5,
            color="white" if share[i, j] > 0.55 else INK,
        )  # fmt: skip
    name_ticks(axes.xaxis, [short(name) for name in names])
    name_ticks(axes.yaxis, [short(name) for name in names])
    room = 40 if C <= SIDE_BY_SIDE else 130  # characters that fit below the panel
    for label in axes.get_xticklabels() if C * max(map(len, names)) > room else ():
        label.set(rotation=35, ha="right", rotation_mode="anchor")
    for edge in np.arange(C - 1) + 0.5:
        axes.axvline(edge, color="white", lw=1)
        axes.axhline(edge, color="white", lw=1)
    axes.grid(visible=False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    panel_title(axes, f"{split}: true and predicted")


def _marker(points: Array, at_most: int) -> str:
    return "o" if len(points) <= at_most else ""


def _weakest(classes: Mapping[str, Mapping[str, float]]) -> dict[str, Mapping[str, float]]:
    """All classes in their order, or the `SHOWN` of lowest F1 when there are more."""
    if len(classes) <= SHOWN:
        return dict(classes)
    return dict(sorted(classes.items(), key=lambda item: item[1]["f1"])[:SHOWN])


def _running_mean(values: Sequence[float], window: int) -> Array:
    """Mean over the last ``window`` entries, fewer at the start."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(ends - window, 0)
    mean: Array = (total[ends] - total[starts]) / (ends - starts)
    return mean
