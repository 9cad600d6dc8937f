"""JSON objects to and from files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from minilora.errors import CheckpointError
from minilora.storage.atomic import replacing


def read_json(path: Path, what: str) -> dict[str, Any]:
    """Read the JSON object in ``path``; ``what`` says in errors what it is: "the model's config".

    Raises
    ------
    CheckpointError
        When the file is missing, cannot be read, or holds no JSON object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise CheckpointError(
            f"{path}: cannot read {what}: {error.strerror or error}; check the path."
        ) from error
    except UnicodeDecodeError as error:
        raise CheckpointError(
            f"{path}: {what} is not UTF-8 text at byte {error.start}; copy the file again."
        ) from error
    except json.JSONDecodeError as error:
        raise CheckpointError(
            f"{path}:{error.lineno}: {what} is not JSON: {error.msg} at column {error.colno}; "
            "correct that line or copy the file again."
        ) from error
    except (RecursionError, ValueError) as error:  # nested, or a number long, beyond reason
        raise CheckpointError(
            f"{path}: {what} cannot be read as JSON: {error}; copy the file again."
        ) from error
    if not isinstance(content, dict):
        raise CheckpointError(
            f"{path}: {what} holds a JSON {type(content).__name__}; expected an object {{...}}; "
            "copy the file again."
        )
    return content


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
