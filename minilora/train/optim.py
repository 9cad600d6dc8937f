"""Optimisers: what to do with a gradient."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from minilora import kernels
from minilora._types import Array
from minilora.autograd import Tensor
from minilora.errors import CheckpointError, ConfigError
from minilora.nn import LayerNorm, Module
from minilora.train.checks import check_betas, check_known, check_range
from minilora.train.interrupts import interrupts_deferred


@dataclass
class Group:
    """Parameters that share their settings."""

    params: list[Tensor]
    lr: float
    weight_decay: float


Groups: TypeAlias = Sequence[Mapping[str, Any]]
"""Parameter groups as in torch: ``[{"params": [...], "weight_decay": 0.0}, {"params": [...]}]``."""

GROUP_KEYS = ("params", "lr", "weight_decay")


class Optimizer:
    """Base of the optimisers: groups, steps taken, and what is remembered of each parameter.

    Parameters
    ----------
    parameters
        Tensors, or groups: dictionaries with ``params`` and, where they differ from the defaults,
        ``lr`` and ``weight_decay``.
    lr, weight_decay
        For groups that do not say otherwise.

    Attributes
    ----------
    factor
        What a schedule multiplies every group's ``lr`` with at this moment; 1 without one.
    n_steps
        How many steps were begun.

    Raises
    ------
    ConfigError
        A setting out of range, an unknown group key, no parameters, something else in their place,
        or one given twice.
    """

    def __init__(
        self, parameters: Iterable[Tensor] | Groups, *, lr: float, weight_decay: float
    ) -> None:
        self.groups = _make_groups(parameters, lr, weight_decay)
        self.factor = 1.0
        self.n_steps = 0
        self._memory: dict[int, dict[str, Array]] = {}  # position of a parameter -> its arrays

    @property
    def parameters(self) -> list[Tensor]:
        """All parameters, group after group."""
        return [p for group in self.groups for p in group.params]

    @property
    def lr(self) -> float:
        """Learning rate of the first group now, the schedule's factor included."""
        return self.groups[0].lr * self.factor

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for p in self.parameters:
            p.grad = None

    def step(self) -> None:
        """Update every parameter that has a gradient, in place.

        Ctrl-C waits until all are updated, so it does not leave half a step behind.
        """
        with interrupts_deferred():
            self.n_steps += 1  # first: a step that is broken off all the same counts as begun
            i = 0
            for group in self.groups:
                for p in group.params:
                    if p.grad is not None:
                        self._update(p, p.grad, group.lr * self.factor, group.weight_decay, i)
                    i += 1

    def _update(self, p: Tensor, grad: Array, lr: float, weight_decay: float, i: int) -> None:
        raise NotImplementedError

    def state(self) -> dict[str, Array]:
        """What `step` remembers, by name; the arrays themselves, not copies.

        Names count parameters in the order they were given in (``"3.m"``), so they are the same
        for an optimiser that is made again from the same model.
        """
        memory = {
            f"{i}.{name}": array
            for i in sorted(self._memory)
            for name, array in self._memory[i].items()
        }
        return {"n_steps": np.array(self.n_steps, np.int64), **memory}

    def load_state(self, state: Mapping[str, Array]) -> None:
        """Remember what `state` returned, copied.

        Raises
        ------
        CheckpointError
            If the state is not one of this kind of optimiser over parameters of these shapes.
        """
        parameters, memory = self.parameters, dict[int, dict[str, Array]]()
        for key, array in state.items():
            position, _, name = key.partition(".")
            if key == "n_steps":
                continue
            i = int(position) if position.isdecimal() else -1
            expected = self._remembered(parameters[i]) if 0 <= i < len(parameters) else {}
            if name not in expected or array.shape != expected[name].shape:
                raise CheckpointError(
                    f"{type(self).__name__}.load_state: {key} {array.shape} belongs to another "
                    f"optimiser or model; this one has {len(parameters)} parameters."
                )
            memory.setdefault(i, {})[name] = array.astype(expected[name].dtype)
        n_steps = int(state["n_steps"]) if "n_steps" in state else None
        partial = [i for i in memory if memory[i].keys() != self._remembered(parameters[i]).keys()]
        forgot = not memory and bool(n_steps) and any(map(self._remembered, parameters))
        if n_steps is None or partial or forgot:
            kept = ", ".join(self._remembered(parameters[0])) or "nothing"
            raise CheckpointError(
                f"{type(self).__name__}.load_state: the state has {', '.join(state) or 'nothing'}; "
                f"expected n_steps, and of every parameter that was updated {kept}. It is damaged, "
                "or another optimiser's."
            )
        self.n_steps, self._memory = n_steps, memory

    def _remembered(self, p: Tensor) -> dict[str, Array]:
        """What is kept of ``p``, before its first step."""
        raise NotImplementedError

    def _memory_of(self, i: int, p: Tensor) -> dict[str, Array]:
        if i not in self._memory:
            self._memory[i] = self._remembered(p)
        return self._memory[i]


class SGD(Optimizer):
    """θ ← θ − η b,   b ← μ b + g,   g = ∇θ + λ θ

    With ``nesterov`` θ ← θ − η (g + μ b). η = lr, μ = momentum, λ = weight_decay; b starts as the
    first g. Momentum as in torch and Sutskever et al. 2013 (PMLR 28:1139), but for η outside b.

    Raises
    ------
    ConfigError
        A setting out of range, or ``nesterov`` without momentum.
    """

    def __init__(
        self,
        parameters: Iterable[Tensor] | Groups,
        *,
        lr: float,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(parameters, lr=lr, weight_decay=weight_decay)
        check_range("SGD", "momentum", momentum, below=1)
        if nesterov and momentum == 0:
            raise ConfigError("SGD: nesterov needs momentum; got momentum=0; try momentum=0.9.")
        self.momentum, self.nesterov = momentum, nesterov

    def _remembered(self, p: Tensor) -> dict[str, Array]:
        return {"b": np.zeros_like(p.data)} if self.momentum else {}

    def _update(self, p: Tensor, grad: Array, lr: float, weight_decay: float, i: int) -> None:
        g = grad + weight_decay * p.data if weight_decay else grad
        if self.momentum:
            b = self._memory_of(i, p)["b"]  # 0 at first, so that b starts as g
            b *= self.momentum
            b += g
            g = g + self.momentum * b if self.nesterov else b
        p.data -= lr * g


class AdamW(Optimizer):
    """θ ← θ (1 − η λ) − η m̂ / (√v̂ + ε)

    m ← β₁ m + (1 − β₁) g,   v ← β₂ v + (1 − β₂) g²,   m̂ = m / (1 − β₁ᵗ),   v̂ = v / (1 − β₂ᵗ)

    η = lr, λ = weight_decay, g = ∇θ, t counts the steps of this parameter.
    Loshchilov & Hutter 2019, arXiv:1711.05101, Algorithm 2, with η λ for its λ, as torch has it.

    Raises
    ------
    ConfigError
        A setting out of range.
    """

    def __init__(
        self,
        parameters: Iterable[Tensor] | Groups,
        *,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(parameters, lr=lr, weight_decay=weight_decay)
        check_betas("AdamW", betas)
        check_range("AdamW", "eps", eps)
        self.betas, self.eps = betas, eps

    def _remembered(self, p: Tensor) -> dict[str, Array]:
        return {
            "m": np.zeros_like(p.data),
            "v": np.zeros_like(p.data),
            "t": np.zeros((), np.int64),
        }

    def _update(self, p: Tensor, grad: Array, lr: float, weight_decay: float, i: int) -> None:
        memory = self._memory_of(i, p)
        t = memory["t"]
        t += 1
        kernels.adamw_step(
            p.data, grad, memory["m"], memory["v"], lr, *self.betas, self.eps, weight_decay, int(t)
        )


OPTIMIZERS: dict[str, type[Optimizer]] = {"adamw": AdamW, "sgd": SGD}
"""Every optimiser, by the name it has in `TrainSettings`."""


def decay_groups(model: Module, weight_decay: float) -> list[dict[str, Any]]:
    """Group the parameters that train: weights decay, biases and layer norms do not.

    Pulling a bias or a norm's gain towards 0 does not make the function simpler (transformers
    leaves out the same ones).
    """
    norms = {
        id(p)
        for _, module in model.named_modules()
        if isinstance(module, LayerNorm)
        for _, p in module.named_parameters()
    }
    groups: tuple[list[Tensor], list[Tensor]] = ([], [])  # decays, does not
    for name, p in model.named_parameters():
        if p.requires_grad:
            last = name.rsplit(".", 1)[-1]
            groups[id(p) in norms or last.endswith("bias")].append(p)
    rates = (weight_decay, 0.0)
    return [
        {"params": params, "weight_decay": rate}
        for params, rate in zip(groups, rates, strict=True)
        if params
    ]


def clip_grad_norm_(parameters: Tensor | Iterable[Tensor], max_norm: float) -> float:
    """Scale all gradients, in place, so that together their norm is at most ``max_norm``.

    g ← g · min(1, max_norm / (‖g‖ + 1e-6)),   ‖g‖ over all entries of all gradients, summed in
    float64

    Pascanu et al. 2013, arXiv:1211.5063, Algorithm 1; torch's 1e-6 is kept.

    Returns
    -------
    ‖g‖ before; not finite if an entry is not, and then nothing is scaled.

    Raises
    ------
    ConfigError
        If ``max_norm`` is not positive, or something is no Tensor.
    """
    if not max_norm > 0:
        raise ConfigError(f"clip_grad_norm_: max_norm is {max_norm}; expected a positive number.")
    given = [parameters] if isinstance(parameters, Tensor) else parameters
    grads = [p.grad for p in _tensors("clip_grad_norm_", given) if p.grad is not None]
    norm = math.sqrt(sum(float(np.square(g, dtype=np.float64).sum()) for g in grads))
    scale = max_norm / (norm + 1e-6)
    if math.isfinite(norm) and scale < 1:
        for g in grads:
            g *= scale
    return norm


def _make_groups(
    parameters: Iterable[Tensor] | Groups, lr: float, weight_decay: float
) -> list[Group]:
    if isinstance(parameters, Tensor):  # which could be gone through, row by row
        raise ConfigError("optimizer: got one Tensor; expected several, as in [tensor].")
    given: list[Any] = list(parameters)
    if not given:
        raise ConfigError(
            "optimizer: got no parameters; at least one was expected. Is everything frozen?"
        )
    if not isinstance(given[0], Mapping):
        given = [{"params": given}]
    groups = [_make_group(group, lr, weight_decay) for group in given]
    ids = [id(p) for group in groups for p in group.params]
    if len(set(ids)) < len(ids):
        raise ConfigError("optimizer: a parameter was given twice; once each was expected.")
    return groups


def _make_group(given: Mapping[str, Any], lr: float, weight_decay: float) -> Group:
    for key in given:
        check_known("optimizer", "a key of a parameter group", key, GROUP_KEYS)
    if "params" not in given:
        raise ConfigError(f"optimizer: a group has {', '.join(given) or 'nothing'}, but no params.")
    group = Group(
        _tensors("optimizer", given["params"]),
        given.get("lr", lr),
        given.get("weight_decay", weight_decay),
    )
    check_range("optimizer", "lr", group.lr)
    check_range("optimizer", "weight_decay", group.weight_decay)
    return group


def _tensors(where: str, given: Iterable[Any]) -> list[Tensor]:
    parameters = list(given)
    for p in parameters:
        if not isinstance(p, Tensor):
            pair = isinstance(p, tuple) and len(p) == 2 and isinstance(p[1], Tensor)
            hint = " Of named_parameters(), give the second of each pair." if pair else ""
            raise ConfigError(f"{where}: got a {type(p).__name__} among the parameters.{hint}")
    return parameters
