"""What every adapter is."""

from __future__ import annotations

from minilora._types import Array, Rng
from minilora.adapters.config import LoraConfig
from minilora.errors import TargetError
from minilora.nn import Linear, Parameter


class AdaptedLinear(Linear):
    """A Linear whose frozen weight W carries a trainable change: W' = W + ΔW(θ).

    It takes over the weight and bias of the layer it replaces, under the same names, and adds its
    own parameters beside them. So a checkpoint of the base model fits before and after.

    Subclasses define ``reset``, ``forward`` (cheap: never forms W') and ``effective_weight`` (dense
    W'); the laws that tie them together are tests/adapters/test_every_adapter.py.

    Parameters
    ----------
    base
        The layer to adapt. Its parameters are shared, not copied, and frozen.
    config
        How to adapt it.
    path
        Where the layer is in its model, for what ``config`` says of single layers.
    rng
        Source of the adapter's random start.
    """

    def __init__(self, base: Linear, config: LoraConfig, *, path: str = "", rng: Rng) -> None:
        if isinstance(base, AdaptedLinear):
            raise TargetError(
                f"{type(self).__name__}: {path or 'this layer'} is already adapted by "
                f"{type(base).__name__}; expected a plain Linear; merge or eject that one first."
            )
        super().__init__(base.weight, base.bias)
        for parameter in self.base_parameters().values():
            parameter.requires_grad_(False)
        self.reset(config, path=path, rng=rng)

    def reset(self, config: LoraConfig, *, path: str, rng: Rng) -> None:
        """Create this adapter's parameters at their start."""
        raise NotImplementedError

    def effective_weight(self) -> Array:
        """W' (O, I)"""
        raise NotImplementedError

    def effective_bias(self) -> Array | None:
        """b' (O,), or None when there is none."""
        return None if self.bias is None else self.bias.data.copy()

    def base_parameters(self) -> dict[str, Parameter]:
        """What was taken over: ``weight`` and, if there is one, ``bias``."""
        return {"weight": self.weight} | ({} if self.bias is None else {"bias": self.bias})

    def adapter_parameters(self) -> dict[str, Parameter]:
        """What was added, by name."""
        own = {name: value for name, value in vars(self).items() if isinstance(value, Parameter)}
        return {name: value for name, value in own.items() if name not in ("weight", "bias")}

    def merge(self) -> Linear:
        """A plain Linear that computes the same."""
        return Linear(self.effective_weight(), self.effective_bias())

    def eject(self) -> Linear:
        """The layer as it was, with the very same parameters."""
        return Linear(self.weight, self.bias)
