"""Type names shared by every layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

Array: TypeAlias = NDArray[Any]
Shape: TypeAlias = tuple[int, ...]
Pullback: TypeAlias = Callable[[Array], Array]
"""dy -> dx for one input: the vector-Jacobian product."""
JointPullback: TypeAlias = Callable[[Array], "tuple[Array | None, ...]"]
"""dy -> (dx, dW, ...) for all inputs at once, when they share work."""
Pullbacks: TypeAlias = "tuple[Pullback | None, ...] | JointPullback"
OpResult: TypeAlias = "tuple[Array, Pullbacks]"
Rng: TypeAlias = np.random.Generator
DType: TypeAlias = DTypeLike
