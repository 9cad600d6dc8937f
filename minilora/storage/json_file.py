"""JSON objects to files; `minilora.files` reads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from minilora.storage.atomic import replacing


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write ``content`` as an indented JSON object, whole or not at all.

    Raises
    ------
    OutputError
        When the file cannot be written.
    ValueError
        When a number is not finite: JSON has no words for those.
    """
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    with replacing(path) as file:
        file.write(text.encode("utf-8"))
