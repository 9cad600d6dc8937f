"""The rank of gradients while a model trains."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from minilora._types import Array
from minilora.autograd import gradients
from minilora.errors import ConfigError, TargetError, did_you_mean
from minilora.linalg import effective_rank, numerical_rank, stable_rank, svd
from minilora.nn import Module, Parameter
from minilora.text import Batch


@dataclass(frozen=True, kw_only=True)
class GradientRank:
    """The gradient of the loss by one weight after ``step`` steps.

    ``share`` is Σ_{i≤r} σ_i² / Σ σ_i², how much of its energy r directions hold.
    """

    step: int
    path: str
    frobenius: float
    numerical_rank: int
    effective_rank: float
    stable_rank: float
    share: float


class _Step(Protocol):
    """What `minilora.fit` calls ``on_step`` with, as far as it is used here."""

    @property
    def step(self) -> int: ...


class GradientRanks:
    """Measures gradients during training: pass it to `minilora.fit` as ``on_step``.

    A training step leaves no gradients behind, and under LoRA there are none by the frozen weights.
    So the gradient G = ∂L/∂W is computed anew, on a batch of its own that stays the same, without
    dropout; neither the training nor its random numbers are disturbed. Of weights with an adapter
    this is the G in dB = s G Aᵀ and dA = s Bᵀ G.

    Parameters
    ----------
    model
        As given to `minilora.fit`.
    batch
        With labels. The rank of G is at most its number of tokens.
    paths
        Layers whose weights to look at; default: the adapted ones or, without adapters, those of
        all matrices that are trained.
    every
        Measure at step 1 and then every so many steps.
    r
        Number of directions for ``share``.

    Attributes
    ----------
    records
        One `GradientRank` for each layer and measured step, in order.

    Raises
    ------
    TargetError
        When a path is no layer with a weight matrix.
    ConfigError
        When ``every`` or ``r`` is below 1, or there is nothing to look at.
    """

    def __init__(
        self,
        model: Any,
        batch: Batch,
        *,
        paths: Collection[str] | None = None,
        every: int = 10,
        r: int = 8,
    ) -> None:
        if every < 1 or r < 1:
            raise ConfigError(
                f"GradientRanks: every is {every} and r is {r}; expected 1 or more of both."
            )
        self.model, self.batch, self.every, self.r = model, batch, every, r
        self.weights = _weights(model, paths)
        self.records: list[GradientRank] = []

    def __call__(self, record: _Step) -> None:
        """Measure, if it is this step's turn."""
        if (record.step - 1) % self.every == 0:
            self.measure(record.step)

    def measure(self, step: int) -> None:
        """Add a record for each weight, as of now."""
        weights = self.weights
        with _required(weights.values()):
            found = gradients(self.model.loss(self.batch))
        for path, weight in weights.items():
            G = found.get(weight)
            if G is None:  # no way leads from the loss to it
                G = np.zeros(weight.shape, weight.data.dtype)
            self.records.append(_measured(step, path, G, self.r))


def _measured(step: int, path: str, G: Array, r: int) -> GradientRank:
    S = svd(G).S
    energy = np.cumsum(S**2)
    return GradientRank(
        step=step,
        path=path,
        frobenius=float(np.linalg.norm(S)),
        numerical_rank=numerical_rank(S, shape=G.shape, dtype=G.dtype.type),
        effective_rank=effective_rank(S),
        stable_rank=stable_rank(S),
        share=float(energy[min(r, len(S)) - 1] / energy[-1]) if S.any() else 0.0,
    )


def _weights(model: Module, paths: Collection[str] | None) -> dict[str, Parameter]:
    matrices = {
        name.removesuffix(".weight"): parameter
        for name, parameter in model.named_parameters()
        if name.endswith(".weight") and parameter.data.ndim == 2
    }
    if paths is None and model.adaptation is not None:
        paths = model.adaptation.paths
    if paths is None:
        paths = [path for path, parameter in matrices.items() if parameter.requires_grad]
    for path in paths:
        if path not in matrices:
            raise TargetError(
                f"GradientRanks: no weight matrix at {path!r}.{did_you_mean(path, matrices)}"
            )
    if not paths:
        raise ConfigError(
            "GradientRanks: no matrix is trained; name the layers to look at in paths."
        )
    return {path: matrices[path] for path in paths}


@contextmanager
def _required(weights: Collection[Parameter]) -> Iterator[None]:
    """Have gradients computed for ``weights``, frozen or not."""
    frozen = [weight for weight in weights if not weight.requires_grad]
    for weight in frozen:
        weight.requires_grad_(True)
    try:
        yield
    finally:
        for weight in frozen:
            weight.requires_grad_(False)
