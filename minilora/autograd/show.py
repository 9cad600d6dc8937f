"""One line that says what an array holds."""

from __future__ import annotations

import numpy as np

from minilora._types import Array


def show(x: Array, *, origin: str | None = None) -> str:
    """Describe an array: ``Tensor[2, 128, 768] float32 μ=0.01 σ=0.98 ∈[-4.2, 4.1] from gelu``.

    Mean, standard deviation and range are of the finite entries; ``NaN=3`` and ``inf=1`` are
    shown when there are any. Up to four entries are printed instead. ``origin`` is the op that
    made the array (``leaf`` for a tensor that is trained).
    """
    parts = [f"Tensor[{', '.join(map(str, x.shape))}]", str(x.dtype), *_contents(x)]
    if origin is not None:
        parts.append("requires grad" if origin == "leaf" else f"from {origin}")
    return " ".join(parts)


def _contents(x: Array) -> list[str]:
    if x.size == 0:
        return ["empty"]
    if x.size <= 4:
        return [np.array2string(x, precision=4, separator=", ").replace("\n", "")]
    if not np.issubdtype(x.dtype, np.floating):
        return [f"∈[{x.min()}, {x.max()}]"]
    finite = x[np.isfinite(x)].astype(np.float64)
    parts = []
    if finite.size:
        parts.append(f"μ={finite.mean():.3g} σ={finite.std():.3g}")
        parts.append(f"∈[{finite.min():.3g}, {finite.max():.3g}]")
    if n_nan := int(np.isnan(x).sum()):
        parts.append(f"NaN={n_nan}")
    if n_inf := int(np.isinf(x).sum()):
        parts.append(f"inf={n_inf}")
    return parts
