"""The chart of a search: dev score against parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from minilora.analysis.plots.style import (
    BLUE,
    GREEN,
    GREY,
    HEAD_HEIGHT,
    INK,
    PALE_BLUE,
    PIXELS_PER_INCH,
    TEXT,
    WIDTH,
    heading,
    panel_title,
    plain_axes,
    png,
    short,
)
from minilora.analysis.select import Recommendation, Summary, pareto_front

_HEIGHT = 5.2  # inches, of the panel and the legend below it
_LISTED = 16  # rows that fit beside the panel
_LONGEST = 40  # characters of a candidate's name that fit there


def pareto_chart(
    summaries: Sequence[Summary],
    recommendation: Recommendation,
    *,
    title: str,
    facts: str,
    score_name: str,
) -> bytes:
    """Draw every candidate that has a score, and the front of those that nothing smaller beats.

    Where candidates differ in rank alone, each has its rank beside it; otherwise those of the front
    are numbered, and listed beside the panel.

    Parameters
    ----------
    summaries, recommendation
        What a search found and what came of it; those given fewer epochs are drawn hollow.
    title, facts
        Two lines above.
    score_name
        What a score is called.

    Returns
    -------
    A PNG file that carries its description.
    """
    drawn = [summary for summary in summaries if summary.scores]
    full = [summary for summary in drawn if summary.epochs == recommendation.best.epochs]
    front = pareto_front(full)
    ranks_only = len({(s.candidate.targets, s.candidate.sparsity) for s in drawn}) == 1
    ranks_only = ranks_only and not any(summary.candidate.ranks for summary in drawn)

    height = HEAD_HEIGHT + _HEIGHT
    rect = (0, 0, 1, 1 - HEAD_HEIGHT / height)
    layout = ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.05, rect=rect)
    figure = Figure(figsize=(WIDTH, height), dpi=PIXELS_PER_INCH, layout=layout)
    if ranks_only:
        axes = figure.add_subplot()
        marks = {id(summary): f"r={summary.candidate.r}" for summary in drawn}
    else:
        axes, beside = figure.subplots(1, 2, width_ratios=(2.1, 1))
        listed = _worth_listing(front, recommendation)
        marks = {id(summary): str(i) for i, summary in enumerate(listed, start=1)}
        _list(beside, listed, recommendation, score_name)
    _draw(axes, drawn, full, front, recommendation)
    _mark(axes, drawn, marks, recommendation.chosen)
    _scale(axes, score_name)
    figure.legend(
        loc="outside lower center", ncols=4, frameon=False, fontsize=9, labelcolor=TEXT,
        markerscale=0.75,
    )  # fmt: skip
    heading(figure, 0.12, short(title, 90), size=13, weight="bold", color=INK)
    heading(figure, 0.41, short(facts, 150), size=9.5, color=TEXT)
    return png(figure, title, describe_pareto(drawn, recommendation, score_name))


def describe_pareto(
    summaries: Sequence[Summary], recommendation: Recommendation, score_name: str
) -> str:
    """Say in words what the chart shows: its alternative text."""
    points = "; ".join(
        f"{s.candidate} with {s.candidate.n_parameters:,} parameters {s.mean:.3f}"
        for s in summaries
        if s.scores
    )
    return (
        f"Dev {score_name} against the number of adapter parameters (logarithmic). {points}. "
        f"Recommended: {recommendation.reason}"
    )


def _draw(
    axes: Axes,
    drawn: Sequence[Summary],
    full: Sequence[Summary],
    front: Sequence[Summary],
    recommendation: Recommendation,
) -> None:
    plain_axes(axes)
    best, chosen = recommendation.best, recommendation.chosen
    if best.se:
        axes.axhspan(
            best.mean - best.se, best.mean, color=PALE_BLUE, alpha=0.5, lw=0,
            label="within one standard error of the best",
        )  # fmt: skip
    sizes, scores = _sizes(front), [summary.mean for summary in front]
    axes.plot(
        [*sizes, max(_sizes(full))], [*scores, scores[-1]], color=GREEN, lw=1.6,
        drawstyle="steps-post", label="best with as many parameters or fewer", zorder=1.5,
    )  # fmt: skip
    if brief := [summary for summary in drawn if summary not in full]:
        label = f"dropped after epoch {_span([s.epochs for s in brief])}"
        _draw_points(axes, brief, label, color=GREY, face="white")
    n = _span([len(summary.scores) for summary in full])
    label = "one trial" if n == "1" else f"mean of {n}, ± sd"
    _draw_points(axes, full, label, color=BLUE, face=BLUE)
    axes.plot(
        _sizes([chosen]), [chosen.mean], "o", ms=14, mfc="none", mec=INK, mew=1.5, ls="",
        label="recommended", zorder=3,
    )  # fmt: skip


def _draw_points(
    axes: Axes, summaries: Sequence[Summary], label: str, *, color: str, face: str
) -> None:
    deviations = [summary.sd or 0.0 for summary in summaries]
    axes.errorbar(
        _sizes(summaries), [summary.mean for summary in summaries],
        deviations if any(deviations) else None, fmt="o", ms=6, color=color, mfc=face,
        elinewidth=1.1, capsize=3, label=label,
    )  # fmt: skip


def _mark(axes: Axes, drawn: Sequence[Summary], marks: Mapping[int, str], chosen: Summary) -> None:
    """Write below and to the right of points: lines leave them upwards, downwards and level."""
    for summary in drawn:
        if id(summary) in marks:
            axes.annotate(
                marks[id(summary)], (summary.candidate.n_parameters, summary.mean), (8, -13),
                textcoords="offset points", color=INK, size=9,
                weight="bold" if summary is chosen else "normal",
            )  # fmt: skip


def _worth_listing(front: Sequence[Summary], recommendation: Recommendation) -> list[Summary]:
    """The front, its best end if it is long, and what is recommended."""
    chosen = recommendation.chosen
    listed = [summary for summary in front if summary is not chosen][1 - _LISTED :]
    return sorted([*listed, chosen], key=lambda summary: summary.candidate.n_parameters)


def _list(
    axes: Axes, listed: Sequence[Summary], recommendation: Recommendation, score_name: str
) -> None:
    axes.axis("off")
    panel_title(axes, f"the best by size, {score_name}")
    for i, summary in enumerate(listed):
        weight = "bold" if summary is recommendation.chosen else "normal"
        cells = (
            (0.06, "right", f"{i + 1}"),
            (0.10, "left", short(str(summary.candidate), _LONGEST)),
            (1.00, "right", f"{summary.mean:.3f}"),
        )
        for x, side, text in cells:
            axes.text(
                x, 0.97 - i / _LISTED, text, ha=side, va="top", transform=axes.transAxes, color=INK,
                size=8, weight=weight, parse_math=False,
            )  # fmt: skip


def _scale(axes: Axes, score_name: str) -> None:
    axes.set_xscale("log")
    axes.margins(x=0.08, y=0.12)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.set_xlabel("parameters of the adapter")
    axes.set_ylabel(f"dev {score_name}")


def _sizes(summaries: Sequence[Summary]) -> list[int]:
    return [summary.candidate.n_parameters for summary in summaries]


def _span(numbers: Sequence[int]) -> str:
    low, high = min(numbers), max(numbers)
    return f"{low}" if low == high else f"{low}–{high}"
