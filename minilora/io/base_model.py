"""Base models by name: the encoder that comes with minilora, a folder, or one on the Hub."""

from __future__ import annotations

import difflib
import os
import re
from pathlib import Path

from minilora.errors import CheckpointError
from minilora.io.hub import fetch
from minilora.storage import shipped_folder

TINY = "tiny"
"""The name of the shipped encoder; a folder that is called so is ``./tiny``."""
_TINY_FOLDER = "tiny_bert"
_HUB_NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")  # org/model, or one of the old ones without org


def base_folder(name: str | os.PathLike[str]) -> Path:
    """Find the folder of a pretrained model, for ``from_pretrained``.

    Parameters
    ----------
    name
        ``"tiny"`` for the small English encoder that comes with minilora; or a folder, which is
        returned as it is; or the name of a model on the Hugging Face Hub, such as ``"org/model"``,
        which is fetched if ``huggingface_hub`` is installed.

    Raises
    ------
    CheckpointError
        The encoder is not where it was installed, the model cannot be fetched, or the folder is
        that of an adapter.
    """
    if name == TINY:
        return shipped_folder(_TINY_FOLDER, error=CheckpointError)
    folder = Path(name)
    if isinstance(name, str) and not folder.exists() and _HUB_NAME.fullmatch(name):
        near = difflib.get_close_matches(name.lower(), (TINY, _TINY_FOLDER), n=1, cutoff=0.8)
        try:
            return fetch(name)
        except CheckpointError as error:
            hint = f"; did you mean {TINY!r}?" if near else ""
            raise CheckpointError(f"{error}{hint}") from error
    if (folder / "adapter_config.json").exists() and not (folder / "config.json").exists():
        raise CheckpointError(
            f"{folder}: holds an adapter; a model, with config.json, was expected: the one that "
            "the adapter was trained on."
        )
    return folder


def base_name(folder: Path) -> str:
    """What to call a base in files that are read elsewhere: its path, but ``tiny`` by that name."""
    try:
        shipped = base_folder(TINY)
    except CheckpointError:
        return str(folder)
    return TINY if folder.absolute() == shipped.absolute() else str(folder)
