"""LoRA. Hu et al. 2021, arXiv:2106.09685."""

from __future__ import annotations

import math

import numpy as np

from minilora._types import Array, Rng
from minilora.adapters.base import AdaptedLinear
from minilora.adapters.config import LoraConfig
from minilora.autograd import Tensor
from minilora.nn import Dropout, Parameter
from minilora.ops import linear


class LoRALinear(AdaptedLinear):
    """y = x Wᵀ + b + s (drop(x) Aᵀ Bᵀ + b_B)

    lora_A (r, I), lora_B (O, r), and with ``lora_bias`` lora_B_bias b_B (O,);   W' = W + s B A

    Hu et al. 2021, arXiv:2106.09685, §4.1, eq. 3. s = α/r, or α/√r (rsLoRA). As in loralib and
    PEFT, A starts uniform in ±1/√I (the paper says Gaussian) and B at zero, so ΔW starts at zero.
    """

    def reset(self, config: LoraConfig, *, path: str, rng: Rng) -> None:
        """Draw A and B as ``config.init_lora_weights`` says."""
        O, I = self.weight.shape
        r, dtype = config.rank_of(path), self.weight.data.dtype
        self.scaling = config.scaling_of(path)
        self.lora_dropout = Dropout(config.lora_dropout)
        if config.init_lora_weights == "gaussian":
            A = rng.normal(0, 1 / r, (r, I))
        else:
            A = _uniform(rng, (r, I), fan_in=I)
        B, b = np.zeros((O, r)), np.zeros(O)
        if config.init_lora_weights is False:
            B, b = _uniform(rng, (O, r), fan_in=r), _uniform(rng, (O,), fan_in=r)
        self.lora_A = Parameter(A.astype(dtype))
        self.lora_B = Parameter(B.astype(dtype))
        self.lora_B_bias = Parameter(b.astype(dtype)) if config.lora_bias else None

    def forward(self, x: Tensor) -> Tensor:
        """x (..., I) -> y (..., O)"""
        h = linear(self.lora_dropout(x), self.lora_A) * self.scaling  # (..., r): scale while small
        y = linear(x, self.weight, self.bias) + linear(h, self.lora_B)
        return y if self.lora_B_bias is None else y + self.lora_B_bias * self.scaling

    def effective_weight(self) -> Array:
        """W + s B A"""
        return self.weight.data + self.scaling * (self.lora_B.data @ self.lora_A.data)

    def effective_bias(self) -> Array | None:
        """b + s b_B"""
        bias = super().effective_bias()
        if self.lora_B_bias is None:
            return bias
        change: Array = self.scaling * self.lora_B_bias.data
        return change if bias is None else bias + change


def _uniform(rng: Rng, shape: tuple[int, ...], *, fan_in: int) -> Array:
    """U(±1/√fan_in), which is what torch calls kaiming_uniform with a = √5 (He et al. 2015)."""
    bound = 1 / math.sqrt(fan_in)
    return rng.uniform(-bound, bound, shape)
