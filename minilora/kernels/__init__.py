"""The loops BLAS does not do, each written twice with one signature.

`minilora.kernels.reference` is the NumPy specification, `minilora.kernels.jitted` the speed. Call
``kernels.layer_norm(...)``: the name resolves to the active implementation, which is Numba's when
it is installed and ``MINILORA_KERNELS=reference`` does not ask otherwise. Importing this package
imports neither.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from typing import TYPE_CHECKING, Any

from minilora.errors import ConfigError, did_you_mean

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

IMPLEMENTATIONS = {"reference": "minilora.kernels.reference"}
_active: str | None = None


def active() -> str:
    """Name of the implementation in use: ``numba`` or ``reference``."""
    if _active is None:
        use(os.environ.get("MINILORA_KERNELS") or "reference")
    return str(_active)


def use(name: str) -> None:
    """Choose the implementation, for the whole process."""
    global _active
    if name not in IMPLEMENTATIONS:
        raise ConfigError(
            f"MINILORA_KERNELS: no kernels named {name!r}.{did_you_mean(name, IMPLEMENTATIONS)}"
        )
    _active = name


def __getattr__(name: str) -> Any:
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(IMPLEMENTATIONS[active()]), name)
