"""Does an update strengthen what the base does already, or something else?"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from minilora._types import Array
from minilora.analysis.weights import row_blocks
from minilora.errors import ShapeError
from minilora.linalg import SVD


@dataclass(frozen=True, kw_only=True)
class Amplification:
    """How much larger ΔW is than W within ΔW's own directions, beside what chance gives.

    ``both`` is the paper's factor ‖ΔW‖_F / ‖Uᵀ W V‖_F, of what ΔW writes and reads; ``left`` is
    ‖ΔW‖_F / ‖Uᵀ W‖_F, of what it writes alone; ``right`` ‖ΔW‖_F / ‖W V‖_F, of what it reads.

    ``..._random`` is the same for directions drawn at random. A factor well below it: ΔW goes where
    W is strong, and amplifies it. Near it: ΔW's directions are nothing special to W. Above it: ΔW
    goes where W does little. ``both_leading`` is the factor for W's own leading directions, the
    least there can be. All are None where they would divide by zero, or ΔW is zero.
    """

    both: float | None
    both_random: float | None
    both_leading: float | None
    left: float | None
    left_random: float | None
    right: float | None
    right_random: float | None


def amplification(
    update: SVD, W: Array, *, rank: int | None = None, base_values: Array | None = None
) -> Amplification:
    """‖ΔW‖_F / ‖Uᵀ W V‖_F with U, V the leading singular vectors of ΔW, and its controls.

    For random orthonormal U (O, r) and V (I, r) the expectation of ‖Uᵀ W V‖_F² is
    (r/O) (r/I) ‖W‖_F², of ‖Uᵀ W‖_F² it is (r/O) ‖W‖_F²; the controls are ‖ΔW‖_F over their roots.

    Hu et al. 2021, arXiv:2106.09685, §7.3, table 7. ‖ΔW‖_F is of the whole ΔW whatever ``rank`` is.

    Parameters
    ----------
    update
        ΔW (O, I).
    W
        The base weight (O, I), of any floating-point dtype; computed in float64 by blocks of rows.
    rank
        How many directions r of ΔW to look at; default: those above rounding noise.
    base_values
        At least r leading singular values of W, for ``both_leading``.

    Raises
    ------
    ShapeError
        When W is not (O, I).
    """
    O, I = shape = (len(update.U), update.Vh.shape[1])
    if W.shape != shape:
        raise ShapeError(f"amplification: W is {W.shape}, but the update is {shape}.")
    noise = update.S.max(initial=0.0) * max(shape) * np.finfo(np.float64).eps
    r = int(np.count_nonzero(update.S > noise)) if rank is None else min(rank, len(update.S))
    U, V = update.U[:, :r], update.Vh[:r].T
    UW, WV_squared, W_squared = np.zeros((r, I)), 0.0, 0.0
    for at, rows in row_blocks(W, np.float64):
        UW += U[at].T @ rows
        WV_squared += float(np.sum((rows @ V) ** 2))
        W_squared += float(np.vdot(rows, rows))
    size = float(np.linalg.norm(update.S))

    def factor(squared: float) -> float | None:
        return size / math.sqrt(squared) if squared > 0 and size > 0 else None

    least = None
    if base_values is not None and len(base_values) >= r:
        least = factor(float(np.sum(base_values[:r] ** 2)))
    return Amplification(
        both=factor(float(np.sum((UW @ V) ** 2))),
        both_random=factor(r / O * r / I * W_squared),
        both_leading=least,
        left=factor(float(np.sum(UW**2))),
        left_random=factor(r / O * W_squared),
        right=factor(WV_squared),
        right_random=factor(r / I * W_squared),
    )
