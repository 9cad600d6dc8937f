"""One training step: gradients of all shards, summed, clipped, applied."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minilora._types import Array, Rng
from minilora.autograd import Tensor, gradients
from minilora.errors import DivergenceError
from minilora.nn import draw_seed, training
from minilora.text import Batch
from minilora.train.diverge import first_non_finite
from minilora.train.optim import Optimizer, clip_grad_norm_
from minilora.train.parallel import side_by_side, thread_count

Gradients = dict[Tensor, Array]

ADVICE = "Lower the learning rate, warm up longer or clip gradients harder."


def train_step(
    model: Any,
    batch: Batch,
    optimizer: Optimizer,
    *,
    threads: int | None = None,
    rng: Rng | None = None,
    clip: float | None = None,
    micro_batches: int = 1,
    label_smoothing: float = 0.0,
) -> float:
    """Take one optimiser step on the mean loss of ``batch``; leaves no gradients behind.

    Parameters
    ----------
    model
        A Module with ``loss(batch, n_targets=, label_smoothing=)``, as those with a head have.
    batch
        N sequences with labels.
    optimizer
        Over parameters of the model.
    threads
        Shards that run side by side (default: MINILORA_THREADS, else all cores). The number changes
        the result by rounding only (and which entries dropout drops); the same number always gives
        the same bits.
    rng
        Where dropout draws its seeds from; None: no dropout.
    clip
        Largest norm of all gradients together; None: no limit.
    micro_batches
        Into how many parts to cut the batch, one after the other, so as to need less memory.
    label_smoothing
        See `minilora.ops.cross_entropy`.

    Returns
    -------
    The mean loss over the batch's targets, before the step.

    Raises
    ------
    DataError
        The batch has no labels.
    DivergenceError
        The loss, a gradient or an updated parameter is NaN or infinite. In the first two cases the
        parameters are as they were.
    """
    where = f"step {optimizer.n_steps + 1}, learning rate {optimizer.lr:.3g}"
    try:
        loss, sums = loss_and_gradients(
            model,
            batch,
            threads=threads,
            rng=rng,
            micro_batches=micro_batches,
            label_smoothing=label_smoothing,
        )
        with np.errstate(over="ignore", invalid="ignore"):  # we look at the results instead
            _update(model, optimizer, sums, clip)
    except DivergenceError as error:
        raise DivergenceError(f"train_step: {where}: {error}") from None
    finally:
        optimizer.zero_grad()
    return loss


def loss_and_gradients(
    model: Any,
    batch: Batch,
    *,
    threads: int | None = None,
    rng: Rng | None = None,
    micro_batches: int = 1,
    label_smoothing: float = 0.0,
) -> tuple[float, Gradients]:
    """Mean loss of ``batch`` and its gradients, computed shard by shard, added in a fixed order.

    loss = Σ_shards (Σ cross-entropies in the shard) / (targets in the batch), so the gradients of
    shards and micro-batches add up to those of the whole batch. Parameters as for `train_step`.

    Returns
    -------
    The loss and, for each tensor that requires one, its gradient in an array of its own.

    Raises
    ------
    DataError
        The batch has no labels.
    DivergenceError
        The loss is NaN or infinite; names the module it first appears in.
    """
    n_targets, threads = max(1, batch.n_targets), thread_count(threads)
    total, sums = 0.0, Gradients()
    for part in batch.shards(micro_batches):
        shards = part.shards(threads)
        seeds = [None if rng is None else draw_seed(rng) for _ in shards]
        passes = [
            functools.partial(_forward, model, shard, seed, n_targets, label_smoothing)
            for shard, seed in zip(shards, seeds, strict=True)
        ]
        results = side_by_side([functools.partial(_there_and_back, forward) for forward in passes])
        for forward, (loss, grads) in zip(passes, results, strict=True):
            if not math.isfinite(loss):
                first = first_non_finite(model, forward) or "the loss itself"
                raise DivergenceError(f"the loss is {loss}, first seen in {first}. {ADVICE}")
            total += loss
            _add(sums, grads)
    return total, sums


def _update(model: Any, optimizer: Optimizer, sums: Gradients, clip: float | None) -> None:
    """Clip and step; raise DivergenceError where a gradient or a parameter is not finite."""
    for p in optimizer.parameters:
        p.grad = sums.get(p)
    norm = clip_grad_norm_(optimizer.parameters, math.inf if clip is None else clip)
    if not math.isfinite(norm):
        grads = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
        which = _non_finite(grads) or "all parameters together"
        raise DivergenceError(f"the gradient of {which} is not finite. {ADVICE}")
    optimizer.step()
    updated = {name: p.data for name, p in model.named_parameters() if p.requires_grad}
    if bad := _non_finite(updated):
        raise DivergenceError(f"{bad} is not finite after the update. {ADVICE}")


def _forward(
    model: Any, shard: Batch, seed: int | None, n_targets: int, label_smoothing: float
) -> Tensor:
    with training(None if seed is None else np.random.default_rng(seed)):
        loss: Tensor = model.loss(shard, n_targets=n_targets, label_smoothing=label_smoothing)
        return loss


def _there_and_back(forward: Callable[[], Tensor]) -> tuple[float, Gradients]:
    with np.errstate(over="ignore", invalid="ignore"):  # this thread's own
        loss = forward()
        return loss.item(), gradients(loss)


def _add(sums: Gradients, grads: Gradients) -> None:
    for p, grad in grads.items():
        if p in sums:
            sums[p] += grad
        else:
            sums[p] = grad.copy()  # it may be borrowed, and we are about to write into it


def _non_finite(arrays: dict[str, Array]) -> str | None:
    """The first of these arrays with a NaN or an infinity in it."""
    return next((name for name, a in arrays.items() if not np.isfinite(a).all()), None)
