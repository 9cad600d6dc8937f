"""What a trained LoRA adds to one weight, as arrays alone: no model, no base."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from minilora._types import Array
from minilora.errors import ShapeError
from minilora.linalg import SVD, Weighting, product_svd


@dataclass(frozen=True, eq=False)
class LowRankUpdate:
    """ΔW = s B A, kept as its factors.

    Attributes
    ----------
    path
        The layer, by its dotted name in the model without adapters.
    B, A
        The factors (O, r) and (r, I), of any floating-point dtype.
    scale
        s: α/r, or α/√r with rsLoRA.
    transposed
        Whether the model keeps this layer's weight as (I, O): embeddings, and GPT-2's Conv1D.

    Raises
    ------
    ShapeError
        When B and A are not two matrices that chain.
    """

    path: str
    B: Array
    A: Array
    scale: float
    transposed: bool = False

    def __post_init__(self) -> None:
        if self.B.ndim != 2 or self.A.ndim != 2 or self.B.shape[1] != self.A.shape[0]:
            raise ShapeError(
                f"{self.path}: B {self.B.shape} and A {self.A.shape} do not chain; "
                "B (O, r) takes A (r, I)."
            )

    @property
    def shape(self) -> tuple[int, int]:
        """(O, I), those of ΔW."""
        return int(self.B.shape[0]), int(self.A.shape[1])

    @property
    def rank(self) -> int:
        """The r it was made with; ΔW may have fewer directions."""
        return int(self.A.shape[0])

    @property
    def n_parameters(self) -> int:
        """r (O + I)"""
        return int(self.B.size + self.A.size)

    @property
    def frobenius(self) -> float:
        """‖ΔW‖_F, without forming ΔW."""
        return float(np.linalg.norm(self.svd().S))

    def svd(self) -> SVD:
        """ΔW = U diag(S) Vh in float64, in O((O + I) r²): ΔW is not formed."""
        return product_svd(self.B, self.A, scale=self.scale)

    def matrix(self) -> Array:
        """ΔW (O, I), in the factors' dtype or, of half precision, in float32."""
        dtype = np.result_type(self.B, self.A, np.float32)
        B, A = self.B.astype(dtype, copy=False), self.A.astype(dtype, copy=False)
        product: Array = (B * dtype.type(self.scale)) @ A
        return product

    def truncate(self, r: int, *, weighting: Weighting = "left") -> LowRankUpdate:
        """The best approximation of rank r, with the same scale and dtype.

        An update that has no more than r is returned as it is.

        Raises
        ------
        ShapeError
            If r is negative.
        ConfigError
            If ``weighting`` is unknown; see `minilora.linalg.SVD.factors`.
        """
        if r >= self.rank:
            return self
        # Without s, which stays outside of the factors as it was.
        product = product_svd(self.B, self.A)
        B, A = product.truncate(min(r, len(product.S))).factors(weighting)
        return replace(self, B=B.astype(self.B.dtype), A=A.astype(self.A.dtype))
