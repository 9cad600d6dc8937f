"""One training step: gradients of all shards, summed, clipped, applied."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minilora._types import Array, Rng
from minilora.autograd import Tensor, gradients
from minilora.errors import DivergenceError
from minilora.nn import draw_seed, training
from minilora.text import Batch
from minilora.train.diverge import first_non_finite
from minilora.train.optim import Optimizer, clip_grad_norm_
from minilora.train.parallel import CHUNK_TOKENS, cut, side_by_side, thread_count

Gradients = dict[Tensor, Array]
Forward = Callable[[], Tensor]

ADVICE = "Lower the learning rate, warm up longer or clip gradients harder."


def train_step(
    model: Any,
    batch: Batch,
    optimizer: Optimizer,
    *,
    threads: int | None = None,
    rng: Rng | None = None,
    clip: float | None = None,
    chunk_tokens: int = CHUNK_TOKENS,
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
        Where dropout draws its seeds from, one a chunk; None: no dropout. What is dropped follows
        from ``rng``, the batch, ``threads`` and ``chunk_tokens``, from nothing else.
    clip
        Largest norm of all gradients together; None: no limit.
    chunk_tokens
        How many tokens each thread works on at a time, in whole sequences: activations are held for
        so many (or for one sequence, if that is longer) however large the batch is. Like
        ``threads`` it changes the result by rounding only. More than the default is worth its
        memory only where every weight trains, for each chunk then adds to as many gradients.
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
            chunk_tokens=chunk_tokens,
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
    chunk_tokens: int = CHUNK_TOKENS,
    label_smoothing: float = 0.0,
) -> tuple[float, Gradients]:
    """Mean loss of ``batch`` and its gradients, computed chunk by chunk, added in a fixed order.

    loss = Σ_chunks (Σ cross-entropies in the chunk) / (targets in the batch), so the gradients of
    chunks add up to those of the whole batch: first those of a shard, in its thread, then those of
    the shards. Parameters as for `train_step`.

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
    n_targets = max(1, batch.n_targets)

    def prepared(chunk: Array) -> Forward:
        seed = None if rng is None else draw_seed(rng)
        part = batch.select(chunk)
        return functools.partial(_forward, model, part, seed, n_targets, label_smoothing)

    shards = [
        [prepared(chunk) for chunk in chunks]
        for chunks in cut(batch, thread_count(threads), chunk_tokens)
    ]
    results = side_by_side([functools.partial(_there_and_back, shard) for shard in shards])
    total, sums = 0.0, Gradients()
    for shard, (losses, grads) in zip(shards, results, strict=True):
        for forward, loss in zip(shard, losses, strict=True):
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


def _there_and_back(forwards: Sequence[Forward]) -> tuple[list[float], Gradients]:
    """The losses of a shard's chunks, and the sum of their gradients."""
    losses, sums = [], Gradients()
    with np.errstate(over="ignore", invalid="ignore"):  # this thread's own
        for forward in forwards:
            loss = forward()
            losses.append(loss.item())
            gradients(loss, into=sums)
    return losses, sums


def _add(sums: Gradients, grads: Gradients) -> None:
    for p, grad in grads.items():
        if p in sums:
            sums[p] += grad
        else:
            sums[p] = grad  # ours: see gradients


def _non_finite(arrays: dict[str, Array]) -> str | None:
    """The first of these arrays with a NaN or an infinity in it."""
    return next((name for name, a in arrays.items() if not np.isfinite(a).all()), None)
