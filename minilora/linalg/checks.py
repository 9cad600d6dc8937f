"""What comes in: matrices and spectra, in float64, with every entry a number."""

from __future__ import annotations

import numpy as np

from minilora._types import Array
from minilora.errors import NumericError, ShapeError


def as_matrix(X: Array, who: str) -> Array:
    """X as a float64 matrix (m, n).

    Raises
    ------
    ShapeError
        If X is not a matrix.
    NumericError
        If X holds NaN or infinity; the message says how many and where the first is.
    """
    X = np.asarray(X)
    if X.ndim != 2:
        raise ShapeError(f"{who}: got an array of shape {X.shape}; a matrix (m, n) was expected.")
    return _finite(X.astype(np.float64, copy=False), who)


def as_spectrum(S: Array, who: str) -> Array:
    """S as float64 singular values (k,), falling, none negative.

    Raises
    ------
    ShapeError
        If S is not a vector, or not sorted from large to small.
    NumericError
        If S holds NaN, infinity or negative numbers.
    """
    S = np.asarray(S)
    if S.ndim != 1:
        raise ShapeError(f"{who}: got shape {S.shape}; singular values (k,) were expected.")
    S = _finite(S.astype(np.float64, copy=False), who)
    if (S < 0).any():
        raise NumericError(f"{who}: singular value {S.min():g} is negative.")
    if (np.diff(S) > 0).any():
        raise ShapeError(f"{who}: singular values must fall; sort them with np.sort(S)[::-1].")
    return S


def _finite(X: Array, who: str) -> Array:
    wrong = ~np.isfinite(X)
    if wrong.any():
        at = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise NumericError(
            f"{who}: {int(wrong.sum())} of {X.size} entries are NaN or infinite, "
            f"the first at {list(at)}. Was the model that made them trained to divergence?"
        )
    return X
