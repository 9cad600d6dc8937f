"""Base weights: which tensor belongs to an update, and how to use one that is large."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from minilora._types import Array, DType, Shape
from minilora.adapters import LowRankUpdate
from minilora.errors import CheckpointError, did_you_mean

_ROWS = 256
"""Rows that are turned into float32 or float64 at a time: weights are often kept in less."""


def find_tensor(names: Collection[str], name: str) -> str | None:
    """The one of ``names`` that means the tensor ``name`` of another checkpoint; None if none does.

    A checkpoint of the bare encoder leaves out the first names (``encoder.layer.0...`` for
    ``bert.encoder.layer.0...``), one of a larger model has more: two names mean one tensor when one
    is the end of the other, from a dot on. Of several that are shorter the longest is meant; of
    several that are longer none is.
    """
    parts = name.split(".")
    for skipped in range(len(parts) - 1):
        shorter = ".".join(parts[skipped:])
        if shorter in names:
            return shorter
    longer = [other for other in names if other.endswith(f".{name}")]
    return longer[0] if len(longer) == 1 else None


def base_weight(base: Mapping[str, Array], update: LowRankUpdate) -> Array:
    """W (O, I) of the layer of ``update``, as the update is oriented; in the base's own dtype.

    Raises
    ------
    CheckpointError
        When there is no such weight, or its shape is not the update's.
    """
    name = find_tensor(base.keys(), f"{update.path}.weight")
    if name is None:
        known = [key.removesuffix(".weight") for key in base if key.endswith(".weight")]
        raise CheckpointError(
            f"base: holds no weight for {update.path}; expected the model that the adapter was "
            f"trained on.{did_you_mean(update.path, known[:50])}"
        )
    W = base[name]
    if W.ndim > 2:  # a convolution (O, I, height, width)
        W = W.reshape(len(W), -1)
    if W.shape == update.shape[::-1] and (update.transposed or W.shape != update.shape):
        W = W.T  # PEFT's fan_in_fan_out tells of one layer only, so the shape decides where it can
    if W.shape != update.shape:
        raise CheckpointError(
            f"base: the weight of {update.path} is {W.shape}, but its update is {update.shape}; "
            "expected the model that the adapter was trained on."
        )
    return W


def row_blocks(W: Array, dtype: DType) -> Iterator[tuple[slice, Array]]:
    """W (O, I) in ``dtype``, some rows at a time, and which rows they are."""
    for start in range(0, len(W), _ROWS):
        at = slice(start, start + _ROWS)
        yield at, W[at].astype(dtype, copy=False)


@dataclass(frozen=True, eq=False)
class AdaptedWeight:
    """W + ΔW (O, I), or W alone, to multiply by: never formed, of W some rows at a time.

    W is multiplied in float32 unless it is float64. A `minilora.linalg.Multiplier`.
    """

    W: Array
    update: LowRankUpdate | None = None

    @property
    def shape(self) -> Shape:
        """(O, I)"""
        return self.W.shape

    def times(self, X: Array) -> Array:
        """X (I, k) -> (O, k)"""
        product = np.empty((len(self.W), X.shape[1]))
        for at, rows in self._blocks():
            product[at] = rows @ X.astype(rows.dtype, copy=False)
        if self.update is not None:
            product += self.update.B @ (self.update.scale * (self.update.A @ X))
        return product

    def transposed_times(self, Y: Array) -> Array:
        """Y (O, k) -> (I, k)"""
        product = np.zeros((self.W.shape[1], Y.shape[1]))
        for at, rows in self._blocks():
            product += rows.T @ Y[at].astype(rows.dtype, copy=False)
        if self.update is not None:
            product += self.update.A.T @ (self.update.scale * (self.update.B.T @ Y))
        return product

    def frobenius(self) -> float:
        """‖W + ΔW‖_F"""
        squares = 0.0
        for at, rows in self._blocks():
            if self.update is not None:
                rows = rows + replace(self.update, B=self.update.B[at]).matrix()
            squares += float(np.linalg.norm(rows)) ** 2
        return math.sqrt(squares)

    def _blocks(self) -> Iterator[tuple[slice, Array]]:
        return row_blocks(self.W, np.result_type(self.W, np.float32))
