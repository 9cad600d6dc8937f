"""A whole model as a Hugging Face folder, which transformers loads."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from minilora.errors import CheckpointError, OutputError, TargetError
from minilora.files import read_bytes, read_json
from minilora.nn.pretrained import Pretrained
from minilora.storage import replacing, write_json, write_tensors
from minilora.text.tokenizer_files import TOKENIZER_FILES, VOCABULARIES

CONFIG_FILE = "config.json"
TOKENIZER_CONFIG = "tokenizer_config.json"
WEIGHTS_FILE = "model.safetensors"


def save_pretrained(
    model: Pretrained,
    out_dir: str | os.PathLike[str],
    *,
    tokenizer_from: str | os.PathLike[str] | None = None,
    max_length: int | None = None,
) -> None:
    """Save a model without adapters as a folder that transformers and minilora load.

    Each file is written whole or not at all, ``config.json`` last: a folder without it is not
    finished.

    Parameters
    ----------
    model
        After `merge`, `eject` or full fine-tuning.
    out_dir
        The folder; made if need be. It must not hold a model.
    tokenizer_from
        A folder whose tokenizer files are copied; default: the folder the model was read from, if
        any.
    max_length
        How many word pieces texts are cut after; written as the tokenizer's ``model_max_length``,
        which transformers honours where it truncates. Default: as in the tokenizer's files.

    Raises
    ------
    TargetError
        When the model carries adapters.
    OutputError
        When the folder holds a model, or a file cannot be written.
    CheckpointError
        When ``tokenizer_from`` has no tokenizer.
    """
    if model.adaptation is not None:
        raise TargetError(
            "save_pretrained: the model carries adapters, which this format has no place for; "
            "merge(model) first, or save the adapters alone with save_adapter(model, folder)."
        )
    folder = Path(out_dir)
    _refuse_overwriting(folder)
    source = model.base_dir if tokenizer_from is None else Path(tokenizer_from)
    tokenizer = [] if source is None else _tokenizer_files(source)
    write_tensors(folder / WEIGHTS_FILE, model.state_dict(), metadata={"format": "pt"})
    for file in tokenizer:
        _copy(file, folder / file.name)
    if max_length is not None and tokenizer:
        _set_length(folder / TOKENIZER_CONFIG, max_length, model.config.max_position_embeddings)
    write_json(folder / CONFIG_FILE, _config(model))


def _refuse_overwriting(folder: Path) -> None:
    for name in (CONFIG_FILE, WEIGHTS_FILE):
        if (folder / name).exists():
            raise OutputError(
                f"{folder}: already holds a model ({name}); expected a new or empty folder; "
                "choose another."
            )


def _tokenizer_files(folder: Path) -> list[Path]:
    found = [folder / name for name in TOKENIZER_FILES if (folder / name).is_file()]
    if not any(path.name in VOCABULARIES for path in found):
        raise CheckpointError(
            f"{folder}: no tokenizer here; expected {' or '.join(VOCABULARIES)}; "
            "pass the base model's folder as tokenizer_from."
        )
    return found


def _copy(source: Path, target: Path) -> None:
    content = read_bytes(source, "a file of the tokenizer", error=CheckpointError)
    with replacing(target) as file:
        file.write(content)


def _set_length(path: Path, max_length: int, n_positions: int) -> None:
    content = read_json(path, "the tokenizer's config") if path.exists() else {}
    if content.get("model_max_length", n_positions) != max_length:
        write_json(path, content | {"model_max_length": max_length})


def _config(model: Pretrained) -> dict[str, Any]:
    """The base's config.json, with what says that this is another model now."""
    content = model.config.to_dict()
    content.pop("dtype", None)  # its name since transformers 4.56, which reads the older one too
    weight = next(p for _, p in model.named_parameters())
    return content | {
        "architectures": [type(model).__name__],
        "torch_dtype": str(weight.data.dtype),
    }
