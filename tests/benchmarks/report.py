"""Statistics of the measurements, and the tables for people."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any

LOSS_TOLERANCE = 1e-3
Result = dict[str, Any]


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, quartiles and extremes."""
    if len(values) == 1:
        return dict.fromkeys(("median", "q1", "q3", "min", "max"), values[0])
    q1, median, q3 = statistics.quantiles(values, n=4, method="inclusive")
    return {"median": median, "q1": q1, "q3": q3, "min": min(values), "max": max(values)}


def worst_difference(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """max |a − b| / max(1, |b|); NaN anywhere is infinitely far."""
    far = [abs(a - b) / max(1.0, abs(b)) for a, b in zip(ours, theirs, strict=True)]
    return math.inf if any(map(math.isnan, far)) else max(far)


def compare(ours: Result, theirs: Result, *, same_arithmetic: bool) -> Result:
    """The ratio of two sides' step times, pair by pair; none if they did not compute the same."""
    difference = worst_difference(ours["losses"], theirs["losses"])
    agree = difference <= LOSS_TOLERANCE or not same_arithmetic
    return {
        "loss_difference": difference,
        "ratio": spread(ratios(ours["seconds"], theirs["seconds"])) if agree else None,
        "cpu_ratio": spread(ratios(ours["cpu_seconds"], theirs["cpu_seconds"])) if agree else None,
        "peak_ratio": ours["peak"] / theirs["peak"] if ours["peak"] else None,
    }


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Pair by pair."""
    return [a / b for a, b in zip(ours, theirs, strict=True)]


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as they need to be; the first to the left, the others to the right."""
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]
    lines = [
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in (header, ["-" * width for width in widths], *rows)
    ]
    return "\n".join(line.rstrip() for line in lines)


def steps_table(results: Sequence[Result]) -> str:
    """A line per workload, thread count and PyTorch variant."""
    header = (
        "workload",
        "threads",
        "against",
        "ratio",
        "quartiles",
        "min",
        "CPU",
        "ms",
        "PyTorch ms",
        "floor ms",
        "x floor",
        "tokens/s",
        "PyTorch",
        "peak MB",
        "PyTorch",
        "loss diff.",
        "others",
    )
    rows = [
        (
            result["workload"],
            str(result["threads"]),
            other,
            *ratio_cells(versus["ratio"]),
            f"{versus['cpu_ratio']['median']:.3f}" if versus["cpu_ratio"] else "-",
            *(f"{statistics.median(side['seconds']) * 1e3:.1f}" for side in sides),
            *floor_cells(result["floor"], sides[0]),
            *(f"{side['tokens_per_second']:,.0f}" for side in sides),
            *(megabytes(side["peak"]) for side in sides),
            f"{versus['loss_difference']:.0e}",
            f"{result['cores_busy_with_others']:.2f}",
        )
        for result in results
        for other, versus in result["against"].items()
        for sides in [(result["sides"]["minilora"], result["sides"][other])]
    ]
    return table(header, rows)


def floor_cells(floor: Result, ours: Result) -> tuple[str, str]:
    """The least time of the needed operations, and how many times that minilora takes."""
    return (
        f"{statistics.median(floor['seconds']) * 1e3:.1f}",
        f"{statistics.median(ratios(ours['seconds'], floor['seconds'])):.2f}",
    )


def ratio_cells(ratio: dict[str, float] | None) -> tuple[str, str, str]:
    """Median, quartiles and minimum, or a refusal."""
    if ratio is None:
        return "refused", "losses", "differ"
    return (
        f"{ratio['median']:.3f}",
        f"{ratio['q1']:.3f}-{ratio['q3']:.3f}",
        f"{ratio['min']:.3f}",
    )


def cold_start_table(starts: dict[str, list[Result]]) -> str:
    """A line per way to start: medians over the fresh processes, in seconds."""
    parts = ("total", "import", "load", "first_step")
    rows = [
        (name, *(f"{statistics.median(run[part] for run in runs):.2f}" for part in parts))
        for name, runs in starts.items()
    ]
    return table(("cold start, seconds", "total", "import", "load", "first step"), rows)


def header_lines(machine: Result, sides: dict[str, Result]) -> str:
    """Machine, date and versions."""
    versions = {k: v for side in sides.values() for k, v in side["versions"].items()}
    environment = " ".join(f"{k}={v}" for k, v in machine["environment"].items()) or "nothing set"
    ours, theirs = sides["minilora"], sides["torch"]
    return "\n".join(
        [
            f"{machine['cpu']}, {machine['cores']} cores, {machine['system']}, {machine['date']}",
            "  ".join(f"{name} {version}" for name, version in versions.items()),
            f"minilora: {ours['kernels']} kernels, BLAS {', '.join(ours['blas'])}, "
            f"{megabytes(ours['rss_after_import'])} MB after import",
            f"PyTorch: {theirs['cpu_capability']}, "
            f"{megabytes(theirs['rss_after_import'])} MB after import",
            f"environment: {environment}",
        ]
    )


def megabytes(n_bytes: float | None) -> str:
    """Bytes as MB (10⁶), or n/a."""
    return "n/a" if n_bytes is None else f"{n_bytes / 1e6:,.0f}"
