"""What comes with minilora: data sets, and a tiny encoder.

They are kept in ``data`` at the top of the repository. A wheel carries that folder as package data,
``minilora/data``; ``pyproject.toml`` says how.
"""

from __future__ import annotations

from pathlib import Path

from minilora.errors import MiniLoraError

_PACKAGE = Path(__file__).parents[1]
PLACES = (_PACKAGE / "data", _PACKAGE.parent / "data")
"""Where that folder is: in an installed wheel, and in a checkout or an editable install."""


def shipped_folder(name: str, *, error: type[MiniLoraError]) -> Path:
    """Find ``name``, such as ``ner``, among what is shipped; ``error`` when it is not there."""
    for place in PLACES:
        if (place / name).is_dir():
            return place / name
    looked = " and ".join(str(place) for place in PLACES)
    raise error(
        f"{name}: comes with minilora, but is not there; looked in {looked}; install minilora "
        "again, or restore the folder data of the checkout."
    )
