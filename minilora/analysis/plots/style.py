"""What all figures have in common: colours, sizes, and how they become files."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from html import escape
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure

BLUE, ORANGE, GREEN = "#0072B2", "#D55E00", "#009E73"
INK, TEXT, GREY, PALE, PALE_BLUE = "#222222", "#555555", "#8A8A8A", "#E4E4E4", "#BFDBEC"
WIDTH = 11.0  # inches: text of 10 points is still read when a README shows it 900 pixels wide
PANEL_HEIGHT = 3.5  # inches
HEAD_HEIGHT = 0.72  # inches, for the two lines above
PIXELS_PER_INCH = 160
LONGEST_NAME = 26  # characters of a name that are drawn


def heading(figure: Figure, inches_down: float, text: str, **style: Any) -> None:
    """Write a line across the figure, so far below its upper edge."""
    down = inches_down / figure.get_figheight()
    figure.text(0.01, 1 - down, text, va="top", parse_math=False, **style)


def plain_axes(axes: Axes) -> None:
    """Leave what carries values: two spines, faint lines at the ticks of y."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GREY)
    axes.grid(axis="y", color=PALE, lw=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(colors=TEXT, labelsize=9)
    axes.xaxis.label.set(size=9.5, color=TEXT)
    axes.yaxis.label.set(size=9.5, color=TEXT)


def panel_title(axes: Axes, text: str) -> None:
    """Say above a panel what it shows."""
    axes.set_title(text, loc="left", size=10.5, color=INK, pad=8, parse_math=False)


def name_ticks(axis: Axis, names: Sequence[str]) -> None:
    """Name the places 0, 1, ... on an axis."""
    axis.set_ticks(range(len(names)), names)
    for label in axis.get_ticklabels():
        label.set_parse_math(False)  # a name may hold dollar signs


def short(name: str, longest: int = LONGEST_NAME) -> str:
    """Cut the middle out of a long name: the ends are what tells names apart."""
    half = longest // 2
    return name if len(name) <= longest else f"{name[: half - 1]}…{name[-half:]}"


def png(figure: Figure, title: str, description: str) -> bytes:
    """Draw the figure; the bytes of a PNG file that holds its title and alternative text."""
    return _file(figure, "png", {"Title": title, "Description": description})


def svg(figure: Figure, title: str, description: str) -> bytes:
    """Draw the figure; the bytes of an SVG file that holds its title and alternative text."""
    # No date, and names that do not change: the same figure is the same file.
    with rc_context({"svg.hashsalt": "minilora"}):
        drawn = _file(figure, "svg", {"Title": title, "Description": description, "Date": None})
    said = f"<title>{escape(title)}</title><desc>{escape(description)}</desc>\n <metadata>"
    return drawn.replace(b"<metadata>", said.encode("utf-8"), 1)


def _file(figure: Figure, kind: str, metadata: dict[str, str | None]) -> bytes:
    file = io.BytesIO()
    with warnings.catch_warnings():
        # A name in a script that no installed font has is drawn as boxes; that is no error.
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from font")
        figure.savefig(file, format=kind, metadata=metadata)
    return file.getvalue()
