"""k-fold cross-validation: which rows are held out when."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minilora._types import Array, Rng
from minilora.errors import ConfigError


def k_folds(n_rows: int, k: int, *, rng: Rng, labels: Sequence[int] | None = None) -> list[Array]:
    """Deal rows into k folds at random, sizes differing by one at most.

    Parameters
    ----------
    n_rows, k
        At least two folds, and a row for each.
    labels
        Class of every row: each class is then spread over the folds as evenly as can be.

    Returns
    -------
    The rows of each fold, rising.

    Raises
    ------
    ConfigError
        If k is not in 2..n_rows, or there is not a label for each row.
    """
    if not 2 <= k <= n_rows:
        raise ConfigError(f"folds: got {k}; 2 to {n_rows}, the number of rows, were expected.")
    if labels is not None and len(labels) != n_rows:
        raise ConfigError(f"folds: {len(labels)} labels for {n_rows} rows; one each was expected.")
    order = rng.permutation(n_rows)
    if labels is not None:
        order = order[np.argsort(np.asarray(labels)[order], kind="stable")]
    return [np.sort(order[i::k]) for i in range(k)]
