"""Where a loss stopped being a number."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minilora.autograd import Tensor, no_grad
from minilora.nn import Module


def first_non_finite(model: Module, forward: Callable[[], object]) -> str | None:
    """Run ``forward()`` and name the first module of ``model`` whose output is not finite.

    First is the one that finished first, so it is the innermost: what its inputs came from was
    still finite. None if every module's output is. Nothing is recorded, and nothing else may use
    the model meanwhile.
    """
    found: list[str] = []
    with no_grad(), np.errstate(over="ignore", invalid="ignore"), _watched(model, found):
        forward()
    return found[0] if found else None


@contextlib.contextmanager
def _watched(model: Module, found: list[str]) -> Iterator[None]:
    """Give each module a ``forward`` of its own that looks at what its class's returns."""

    def watch(path: str, forward: Callable[..., Any]) -> Callable[..., Any]:
        def watching(*inputs: Any, **options: Any) -> Any:
            y = forward(*inputs, **options)
            if isinstance(y, Tensor) and not np.isfinite(y.data).all():
                found.append(path or type(model).__name__)
            return y

        return watching

    modules = dict(model.named_modules())
    for path, module in modules.items():
        vars(module)["forward"] = watch(path, module.forward)
    try:
        yield
    finally:
        for module in modules.values():
            vars(module).pop("forward", None)  # a module at two paths is watched twice
