"""The loops BLAS does not do, each written twice with one signature.

`minilora.kernels.reference` is the NumPy specification, `minilora.kernels.jitted` the speed. Call
``kernels.layer_norm(...)``: the name resolves to the implementation in use, which is Numba's where
it is installed, unless ``MINILORA_KERNELS=reference`` says otherwise. Importing this package
imports neither, and not Numba.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import os
import time
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from minilora._types import DType
from minilora.errors import ConfigError, did_you_mean
from minilora.kernels import cache
from minilora.kernels.cache import cache_dir as cache_dir

if TYPE_CHECKING:
    from minilora.kernels.reference import adamw_step as adamw_step
    from minilora.kernels.reference import attention as attention
    from minilora.kernels.reference import attention_backward as attention_backward
    from minilora.kernels.reference import cross_entropy as cross_entropy
    from minilora.kernels.reference import dropout as dropout
    from minilora.kernels.reference import gelu as gelu
    from minilora.kernels.reference import gelu_backward as gelu_backward
    from minilora.kernels.reference import gelu_tanh as gelu_tanh
    from minilora.kernels.reference import gelu_tanh_backward as gelu_tanh_backward
    from minilora.kernels.reference import layer_norm as layer_norm
    from minilora.kernels.reference import layer_norm_backward as layer_norm_backward
    from minilora.kernels.reference import log_softmax as log_softmax
    from minilora.kernels.reference import scatter_add as scatter_add
    from minilora.kernels.reference import softmax as softmax
    from minilora.kernels.reference import softmax_backward as softmax_backward

KERNELS = (
    "adamw_step",
    "attention",
    "attention_backward",
    "cross_entropy",
    "dropout",
    "gelu",
    "gelu_backward",
    "gelu_tanh",
    "gelu_tanh_backward",
    "layer_norm",
    "layer_norm_backward",
    "log_softmax",
    "scatter_add",
    "softmax",
    "softmax_backward",
)
_MODULES = {"numba": "minilora.kernels.jitted", "reference": "minilora.kernels.reference"}
_active: str | None = None


def active() -> str:
    """Name of the implementation in use: ``numba`` or ``reference``."""
    if _active is None:
        default = "numba" if _numba_is_installed() else "reference"
        use(os.environ.get("MINILORA_KERNELS") or default)
    assert _active is not None
    return _active


def use(name: str) -> None:
    """Choose the implementation, ``numba`` or ``reference``, for the whole process.

    Raises
    ------
    ConfigError
        If there is none of that name, or Numba is not installed.
    """
    global _active
    if name not in _MODULES:
        raise ConfigError(f"kernels: there are none named {name!r}.{did_you_mean(name, _MODULES)}")
    if name == "numba" and not _numba_is_installed():
        raise ConfigError(
            "kernels: 'numba' is asked for, but Numba is not installed; "
            "install it, or leave MINILORA_KERNELS unset to run the slower NumPy kernels."
        )
    _active = name


def cached(dtype: DType = np.float32) -> bool:
    """Whether the kernels are ready; if not, their first use compiles them, which takes a while."""
    return active() == "reference" or cache.cached(dtype)


def cache_trouble() -> str | None:
    """Why every start compiles kernels anew, and what to do; None if it need not."""
    return None if active() == "reference" else cache.trouble()


def warm_up(dtype: DType = np.float32) -> float:
    """Load all kernels for one dtype, compiled now if they are not cached; returns the seconds."""
    began = time.perf_counter()
    if active() == "numba":
        from minilora.kernels.every_kernel import call_every_kernel

        call_every_kernel(dtype)
        cache.mark_cached(dtype)
    return time.perf_counter() - began


def _numba_is_installed() -> bool:
    return importlib.util.find_spec("numba") is not None


def __getattr__(name: str) -> Any:
    if name not in KERNELS:  # a module of this package, which Python looks for next, or nothing
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(_implementation(active()), name)


@functools.cache
def _implementation(name: str) -> ModuleType:
    return importlib.import_module(_MODULES[name])
