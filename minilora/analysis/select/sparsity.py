"""Sparse factors: the smallest numbers of an update set to zero."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from minilora.adapters import LowRankUpdate
from minilora.errors import ConfigError


def sparsify(update: LowRankUpdate, sparsity: float) -> LowRankUpdate:
    """Set the smallest ``sparsity`` of the r (O + I) numbers in B and A to zero.

    B = U √S, A = √S Vh first, for which B A is the same: magnitudes then depend on ΔW alone, not
    on which of the many factors with this product training has found, B and A are of one scale,
    and the directions that matter least go first. Magnitude pruning (Han et al. 2015,
    arXiv:1506.02626, §3), without their retraining.

    Returns
    -------
    LowRankUpdate
        With the same scale, dtype and r; as it came where ``sparsity`` is 0.

    Raises
    ------
    ConfigError
        If ``sparsity`` is not in [0, 1).
    """
    check_sparsity(sparsity)
    n = n_zeros(update.n_parameters, sparsity)
    if n == 0:
        return update
    B, A = replace(update, scale=1.0).svd().factors("both")  # (O, k), (k, I)
    idle = (0, update.rank - len(A))  # r - k: above min(O, I) a rank has no directions to use
    B, A = np.pad(B, ((0, 0), idle)), np.pad(A, (idle, (0, 0)))  # (O, r), (r, I)
    entries = np.concatenate([B.ravel(), A.ravel()])
    entries[np.argsort(np.abs(entries), kind="stable")[:n]] = 0
    B, A = entries[: B.size].reshape(B.shape), entries[B.size :].reshape(A.shape)
    return replace(update, B=B.astype(update.B.dtype), A=A.astype(update.A.dtype))


def n_zeros(n: int, sparsity: float) -> int:
    """How many of n numbers are set to zero."""
    return int(sparsity * n)


def check_sparsity(sparsity: float) -> None:
    """Raise ConfigError unless 0 <= ``sparsity`` < 1."""
    if not 0 <= sparsity < 1:
        raise ConfigError(f"sparsity: got {sparsity}; a share from 0 to below 1 was expected.")
