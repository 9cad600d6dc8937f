"""The weights of a Hugging Face folder: one safetensors file, or several with an index."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from minilora._types import Array, DType
from minilora.errors import CheckpointError
from minilora.files import read_json
from minilora.storage.tensors import read_tensor, read_tensors, tensor_info

_SINGLE = "model.safetensors"
_INDEX = "model.safetensors.index.json"
_PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json")


def read_checkpoint(folder: Path, *, dtype: DType | None = None) -> dict[str, Array]:
    """Map all tensors of a model folder into memory, from one file or from shards.

    Parameters
    ----------
    folder
        Holds ``model.safetensors``, or ``model.safetensors.index.json`` and the files it names.
    dtype
        Convert floating-point tensors to this; None keeps them.

    Raises
    ------
    CheckpointError
        When the folder is missing, has no weights or only pickled ones, or a file is damaged.
    """
    files = _tensor_files(folder)
    read = {path: read_tensors(path, dtype=dtype) for path in dict.fromkeys(files.values())}
    return {name: read[path][name] for name, path in files.items()}


def open_checkpoint(folder: Path) -> Checkpoint:
    """Open a model folder without reading its tensors. Errors as `read_checkpoint`."""
    return Checkpoint(_tensor_files(folder))


class Checkpoint(Mapping[str, Array]):
    """The tensors of a model folder by name, each read when it is asked for.

    Nothing is kept: a model larger than memory can be gone through tensor by tensor.
    """

    def __init__(self, files: Mapping[str, Path]) -> None:
        self._files = dict(files)

    def __getitem__(self, name: str) -> Array:
        """Read a tensor, in its own dtype (bfloat16 as float32)."""
        return read_tensor(self._files[name], name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)

    def __contains__(self, name: object) -> bool:
        return name in self._files  # Mapping's own would read the tensor


def _tensor_files(folder: Path) -> dict[str, Path]:
    """Which file each tensor is in."""
    if not folder.is_dir():
        raise CheckpointError(
            f"{folder}: not a folder; expected a Hugging Face model folder with config.json and "
            f"{_SINGLE}; check the path."
        )
    if (folder / _SINGLE).exists():
        return dict.fromkeys(tensor_info(folder / _SINGLE), folder / _SINGLE)
    if (folder / _INDEX).exists():
        return _files_of_shards(folder / _INDEX)
    for name in _PICKLES:
        if (folder / name).exists():
            raise CheckpointError(
                f"{folder}: the weights are pickled ({name}), and unpickling runs whatever code is "
                f"in the file; expected {_SINGLE}; convert them where you trust them, in "
                "transformers by from_pretrained(...).save_pretrained(...)."
            )
    if (folder / "adapter_config.json").exists():
        raise CheckpointError(
            f"{folder}: holds an adapter; a whole model, with {_SINGLE}, was expected; merge the "
            "adapter into its base first."
        )
    raise CheckpointError(
        f"{folder}: no weights here; expected {_SINGLE} or {_INDEX}; "
        "check the path or download the folder again."
    )


def _files_of_shards(index: Path) -> dict[str, Path]:
    where = _weight_map(index)
    shards = {name: tensor_info(index.with_name(name)) for name in sorted({*where.values()})}
    lost = [name for name, shard in where.items() if name not in shards[shard]]
    unlisted = [name for shard in shards.values() for name in shard if name not in where]
    if lost or unlisted:
        raise CheckpointError(
            f"{index}: does not fit its files: not in the file it names: "
            f"{', '.join(lost) or 'none'}; in a file but not listed: "
            f"{', '.join(unlisted) or 'none'}; download the folder again."
        )
    return {name: index.with_name(shard) for name, shard in where.items()}


def _weight_map(index: Path) -> dict[str, str]:
    where: Any = read_json(index, "the index of the weights").get("weight_map")
    names = where.values() if isinstance(where, dict) else [None]
    # A name with a folder in it could lead out of the checkpoint.
    if not all(isinstance(n, str) and n.endswith(".safetensors") and "/" not in n for n in names):
        raise CheckpointError(
            f"{index}: weight_map must give a .safetensors file in this folder for every tensor; "
            "download the folder again."
        )
    return dict(where)
