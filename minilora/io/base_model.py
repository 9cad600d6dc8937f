"""Base models by name: the encoder that comes with minilora, a folder, or one on the Hub."""

from __future__ import annotations

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
        The encoder is not where it was installed, or the model cannot be fetched.
    """
    if name == TINY:
        return shipped_folder(_TINY_FOLDER, error=CheckpointError)
    if isinstance(name, str) and not Path(name).exists() and _HUB_NAME.fullmatch(name):
        return fetch(name)
    return Path(name)


def base_name(folder: Path) -> str:
    """What to call a base in files that are read elsewhere: its path, but ``tiny`` by that name."""
    try:
        shipped = base_folder(TINY)
    except CheckpointError:
        return str(folder)
    return TINY if folder.absolute() == shipped.absolute() else str(folder)
