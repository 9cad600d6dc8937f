"""A report as one HTML file that needs nothing else: no network, no other file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from html import escape
from importlib.resources import files
from string import Template

from minilora.adapters import LowRankUpdate
from minilora.analysis.compare import Comparison
from minilora.analysis.ledger import Cost
from minilora.analysis.report import AdapterReport
from minilora.analysis.report_data import page_data

SCRIPTS = ("draw.js", "numbers.js", "figures.js", "base_figures.js", "page.js")

_COSTS = {
    "parameters_trained": ("parameters trained", False),
    "flops_forward": ("operations forward, per token", False),
    "flops_training": ("operations in training, per token", False),
    "bytes_weights": ("weights", True),
    "bytes_gradients": ("gradients", True),
    "bytes_optimizer": ("optimiser state", True),
    "bytes_activations": ("activations, per token", True),
}
"""What the page calls the entries of a `Cost`, and whether they are bytes."""


def report_page(
    report: AdapterReport,
    updates: Sequence[LowRankUpdate],
    *,
    comparison: Comparison | None = None,
    other: str = "",
    other_bytes: int = 0,
) -> str:
    """The page: advice, figures, and a slider that cuts the adapter to lower ranks.

    Parameters
    ----------
    report, updates
        An adapter, and what `minilora.analysis.inspect_updates` found in it.
    comparison, other
        Of it with another adapter, and what that is called.
    other_bytes
        Size of what its file holds beside the factors, such as an output head.

    Returns
    -------
    HTML of some 30 kB, and 1 to 5 kB a layer.
    """
    data = page_data(report, updates, comparison, other_bytes=other_bytes)
    # Of JSON in a script only the end of the script could be misread.
    as_json = json.dumps(data, separators=(",", ":"), ensure_ascii=False).replace("<", "\\u003c")
    ranks = sorted({layer.rank for layer in report.layers})
    n_parameters = sum(layer.n_parameters for layer in report.layers)
    facts = (
        f"{len(report.layers)} adapted layers, "
        f"rank {ranks[0]}{f' to {ranks[-1]}' if len(ranks) > 1 else ''}, "
        f"{n_parameters:,} parameters"
    )
    return Template(_part("page.html")).substitute(
        title=escape(report.adapter),
        facts=escape(facts),
        advice=_items(report.advice),
        notes=_section("Notes", _items(report.notes)) if report.notes else "",
        ledger=_ledger(report),
        compared=_comparison(comparison, other) if comparison else "",
        measures="".join(_meanings(report.measures)),
        style=_part("style.css"),
        data=as_json,
        script="\n".join(map(_part, SCRIPTS)),
        with_base="" if any(layer.base for layer in report.layers) else "hidden",
        with_other="" if comparison else "hidden",
        without_base="hidden" if any(layer.base for layer in report.layers) else "",
    )


def _part(name: str) -> str:
    return files("minilora.analysis").joinpath("page", name).read_text(encoding="utf-8")


def _items(sentences: Sequence[str]) -> str:
    return "<ul>" + "".join(f"<li>{_with_code(s)}</li>" for s in sentences) + "</ul>"


def _with_code(sentence: str) -> str:
    """What is between backquotes becomes code."""
    parts = escape(sentence).split("`")
    return "".join(f"<code>{p}</code>" if i % 2 else p for i, p in enumerate(parts))


def _section(title: str, content: str) -> str:
    return f"<section><h2>{title}</h2>{content}</section>"


def _ledger(report: AdapterReport) -> str:
    costs = report.ledger
    ways = (("full", costs.full), ("LoRA", costs.lora), ("LoRA, merged", costs.merged))
    head = "".join(f'<th scope="col">{name}</th>' for name, _ in ways)
    rows = "".join(
        f'<tr><th scope="row">{_COSTS[field.name][0]}</th>'
        + "".join(f"<td>{_amount(getattr(cost, field.name), field.name)}</td>" for _, cost in ways)
        + "</tr>"
        for field in fields(Cost)
    )
    return (
        f'<div class="wide"><table><thead><tr><td></td>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
        f"<p>LoRA trains fewer parameters than full fine-tuning of these layers below rank "
        f"{costs.break_even_rank:,.0f}, and takes fewer operations a step below rank "
        f"{costs.break_even_flops_rank:,.0f}.</p>"
    )


def _amount(n: int, name: str) -> str:
    if n == 0:
        return "–"
    units = (("G", 1e9), ("M", 1e6), ("k", 1e3), ("", 1.0))
    letter, size = next((u for u in units if n >= u[1]), units[-1])
    unit = f"{letter}B" if _COSTS[name][1] else letter
    return f"{n / size:.3g} {unit}".rstrip()


def _comparison(comparison: Comparison, other: str) -> str:
    rows = "".join(
        f'<tr><th scope="row">{escape(x.path)}</th><td>{x.ranks[0]}, {x.ranks[1]}</td>'
        f"<td>{x.sizes[0]:.3g}, {x.sizes[1]:.3g}</td>"
        f"<td>{_number(x.cosine)}</td><td>{_number(x.distance)}</td></tr>"
        for x in comparison.layers
    )
    alone = len(comparison.only_first), len(comparison.only_second)
    return (
        f"<p>Beside <code>{escape(other)}</code>: {len(comparison.layers)} layers are in both, "
        f"{alone[0]} in the first alone, {alone[1]} in the other alone. The cosine is 1 for the "
        "same update up to its size, 0 for unrelated ones.</p>"
        '<div class="wide tall" tabindex="0" role="region" aria-label="Both adapters"><table>'
        '<thead><tr><th scope="col">layer</th><th scope="col">ranks</th><th scope="col">sizes</th>'
        '<th scope="col">cosine</th>'
        f'<th scope="col">distance</th></tr></thead><tbody>{rows}</tbody></table></div>'
    )


def _number(x: float | None) -> str:
    return "–" if x is None else f"{x:.3f}"


def _meanings(measures: Mapping[str, str]) -> Iterator[str]:
    for name, meaning in measures.items():
        yield f"<dt>{escape(name.replace('_', ' '))}</dt><dd>{escape(meaning)}</dd>"
