"""Named arrays to and from safetensors files.

The format is a length (8 bytes, little-endian), a JSON header that gives each tensor's dtype, shape
and place, and the bytes of all tensors without gaps: https://huggingface.co/docs/safetensors.

The safetensors library reads the header: it is hardened against headers that lie. Arrays are mapped
into memory copy-on-write, so that a large file is open in milliseconds, its pages are read when
first used and shared between processes, and writing to an array changes this process's copy only.
"""

from __future__ import annotations

import errno
import itertools
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors import SafetensorError, safe_open

from minilora._types import Array, DType, Shape
from minilora.errors import CheckpointError, did_you_mean
from minilora.storage.atomic import replacing

_DTYPES: dict[str, np.dtype[Any]] = {
    "F64": np.dtype(np.float64),
    "F32": np.dtype(np.float32),
    "F16": np.dtype(np.float16),
    "BF16": np.dtype(np.uint16),  # NumPy has no bfloat16: mapped as bits, see _widen
    "I64": np.dtype(np.int64),
    "I32": np.dtype(np.int32),
    "I16": np.dtype(np.int16),
    "I8": np.dtype(np.int8),
    "U64": np.dtype(np.uint64),
    "U32": np.dtype(np.uint32),
    "U16": np.dtype(np.uint16),
    "U8": np.dtype(np.uint8),
    "BOOL": np.dtype(np.bool_),
}
_NAMES = {dtype: name for name, dtype in _DTYPES.items() if name != "BF16"}

_PICKLES = {".bin", ".pt", ".pth", ".ckpt", ".pkl", ".npz", ".npy"}


class TensorInfo(NamedTuple):
    """What a file says of one tensor."""

    dtype: str
    shape: Shape


def read_tensors(path: Path, *, dtype: DType | None = None) -> dict[str, Array]:
    """Map the tensors of a safetensors file into memory.

    Parameters
    ----------
    path
        The file. It must not be changed in place while its arrays are in use; replacing it (as
        everything here does) is fine.
    dtype
        Convert floating-point tensors to this; None keeps them, bfloat16 becoming float32.

    Returns
    -------
    Arrays by name, in the order of the file, writable; writing to one does not change the file.

    Raises
    ------
    CheckpointError
        When the file is missing, damaged, a pickle, or holds a dtype that NumPy cannot.
    """
    infos = tensor_info(path)
    sizes = [_n_bytes(info) for info in infos.values()]
    data = _map_end(path, sum(sizes), sum(sizes))
    ends = itertools.accumulate(sizes)
    return {
        name: _typed(data[end - size : end], info, dtype)
        for (name, info), size, end in zip(infos.items(), sizes, ends, strict=True)
    }


def read_tensor(path: Path, name: str, *, dtype: DType | None = None) -> Array:
    """Map a single tensor into memory, which it leaves when the array is let go.

    Parameters and errors as `read_tensors`; a name that is not there is an error as well.
    """
    infos = tensor_info(path)
    if name not in infos:
        raise CheckpointError(f"{path}: holds no tensor {name!r}.{did_you_mean(name, infos)}")
    before = list(infos).index(name)
    to_end = sum(_n_bytes(info) for info in list(infos.values())[before:])
    return _typed(_map_end(path, to_end, _n_bytes(infos[name])), infos[name], dtype)


def tensor_info(path: Path) -> dict[str, TensorInfo]:
    """Read dtype ("F32", "BF16", ...) and shape of every tensor, in the order of the file.

    Raises
    ------
    CheckpointError
        As `read_tensors`.
    """
    header = _read_header(path)
    for name, info in header.tensors.items():
        if info.dtype not in _DTYPES:
            raise CheckpointError(
                f"{path}: tensor {name!r} has dtype {info.dtype}; "
                f"expected one of {', '.join(_DTYPES)}; convert the file to one of these."
            )
    return header.tensors


def read_metadata(path: Path) -> dict[str, str]:
    """Read the words a safetensors file carries beside its tensors.

    Raises
    ------
    CheckpointError
        As `read_tensors`.
    """
    return _read_header(path).metadata


def write_tensors(
    path: Path, tensors: Mapping[str, Array], *, metadata: Mapping[str, str] | None = None
) -> None:
    """Write a safetensors file, whole or not at all; the same tensors give the same bytes.

    Written here, not by the library: its writer orders metadata at random and hides why it failed.

    Parameters
    ----------
    path
        The file, replaced if it exists.
    tensors
        Arrays by name, in any memory layout.
    metadata
        Words to carry along, such as ``{"format": "pt"}``, which transformers asks for.

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    largest_first = sorted(tensors, key=lambda name: (-tensors[name].dtype.itemsize, name))
    header: dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
    end = 0
    for name in largest_first:  # so each tensor starts at a multiple of its item size
        array, begin = tensors[name], end
        end += array.nbytes
        header[name] = {
            "dtype": _NAMES[array.dtype],
            "shape": list(array.shape),
            "data_offsets": [begin, end],
        }
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with replacing(path) as file:
        file.write(len(text).to_bytes(8, "little"))
        file.write(text)
        for name in largest_first:
            file.write(np.asarray(tensors[name], order="C").data)


class _Header(NamedTuple):
    tensors: dict[str, TensorInfo]
    metadata: dict[str, str]


def _read_header(path: Path) -> _Header:
    if path.suffix in _PICKLES:
        raise CheckpointError(
            f"{path}: {path.suffix} files are not opened, for unpickling one runs whatever code is "
            "in it; expected a .safetensors file; convert it where you trust it, in transformers "
            "by from_pretrained(...).save_pretrained(...)."
        )
    try:
        with safe_open(path, framework="np") as file:
            slices = {name: file.get_slice(name) for name in file.offset_keys()}
            return _Header(
                {n: TensorInfo(s.get_dtype(), tuple(s.get_shape())) for n, s in slices.items()},
                file.metadata() or {},
            )
    except OSError as error:
        reason = "it is a directory" if path.is_dir() else error.strerror or str(error)
        if path.is_file() and not os.access(path, os.R_OK):  # safe_open says: no such file
            reason = os.strerror(errno.EACCES)
        raise CheckpointError(f"{path}: cannot be read: {reason}; check the path.") from error
    except SafetensorError as error:
        raise CheckpointError(
            f"{path}: not a whole safetensors file: {error}; {_remedy(path)}."
        ) from error


def _n_bytes(info: TensorInfo) -> int:
    return _DTYPES[info.dtype].itemsize * math.prod(info.shape)


def _map_end(path: Path, to_end: int, n_bytes: int) -> Array:
    """The ``n_bytes`` that start ``to_end`` bytes before the end of the file.

    The library has checked that the tensors cover the file's end without gap or overlap.
    """
    if n_bytes == 0:  # an empty stretch of a file cannot be mapped
        return np.empty(0, np.uint8)
    try:
        start = path.stat().st_size - to_end
        return np.asarray(np.memmap(path, np.uint8, mode="c", offset=start, shape=(n_bytes,)))
    except (OSError, ValueError) as error:  # ValueError: cut short since its header was read
        raise CheckpointError(f"{path}: cannot be read: {error}; copy the file again.") from error


def _remedy(path: Path) -> str:
    with path.open("rb") as file:
        is_lfs_pointer = file.read(24) == b"version https://git-lfs."
    if is_lfs_pointer:
        return "this is a Git LFS pointer to the file; run `git lfs pull` where it came from"
    return "copy or download it again"


def _typed(raw: Array, info: TensorInfo, dtype: DType | None) -> Array:
    """Bytes -> array of the dtype and shape that ``info`` says, converted if asked."""
    array = raw.view(_DTYPES[info.dtype]).reshape(info.shape)
    if info.dtype == "BF16":
        array = _widen(array)
    if dtype is not None and info.dtype in {"F64", "F32", "F16", "BF16"}:
        with np.errstate(over="ignore"):  # too large becomes infinite, which the caller can see
            array = array.astype(dtype, copy=False)
    return array if array.flags.aligned else array.copy()


def _widen(bits: Array) -> Array:
    """bfloat16 -> float32: the same bits, followed by sixteen zeros."""
    return np.left_shift(bits, 16, dtype=np.uint32).view(np.float32)
