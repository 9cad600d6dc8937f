"""Optimisers, clipping and schedules equal torch's and transformers', step by step."""

import math

import numpy as np
import pytest

from minilora.autograd import Tensor
from minilora.train import SGD, AdamW, clip_grad_norm_
from minilora.train.schedule import SCHEDULES

pytestmark = pytest.mark.oracle

SHAPES = [(5, 3), (7,), (2, 3, 4), ()]
TOLERANCE = {np.float32: 1e-6, np.float64: 1e-12}


@pytest.fixture
def torch():
    import torch

    return torch


@pytest.fixture(params=TOLERANCE, ids=lambda dtype: dtype.__name__)
def dtype(request):
    return request.param


def descend(torch, ours, theirs, rng, dtype, make_ours, make_theirs, n_steps=50, clip=None):
    """Give both optimisers the same gradients; one parameter misses every third step."""
    optimizer, reference = make_ours(ours), make_theirs(theirs)
    for step in range(n_steps):
        for i, (p, q) in enumerate(zip(ours, theirs, strict=True)):
            grad = rng.standard_normal(p.shape).astype(dtype) * 10.0 ** rng.integers(-4, 2)
            grad = np.asarray(grad, dtype)
            missing = i == 1 and step % 3 == 0
            p.grad = None if missing else grad.copy()
            q.grad = None if missing else torch.from_numpy(grad.copy())
        if clip:
            norm = clip_grad_norm_(ours, clip)
            expected = torch.nn.utils.clip_grad_norm_(theirs, clip)
            np.testing.assert_allclose(norm, expected.item(), rtol=1e-6)
        optimizer.step()
        reference.step()
        for p, q in zip(ours, theirs, strict=True):
            tolerance = TOLERANCE[dtype]
            np.testing.assert_allclose(p.data, q.detach(), rtol=tolerance, atol=tolerance)


@pytest.fixture
def pair(torch, rng, dtype):
    """The same parameters, ours and torch's."""
    arrays = [np.asarray(rng.standard_normal(shape), dtype) for shape in SHAPES]
    ours = [Tensor(a.copy(), requires_grad=True) for a in arrays]
    theirs = [torch.nn.Parameter(torch.from_numpy(a.copy())) for a in arrays]
    return ours, theirs


@pytest.mark.parametrize(
    "options",
    [
        {"lr": 1e-2},
        {"lr": 1e-1, "weight_decay": 0.0},
        {"lr": 1e-3, "betas": (0.5, 0.9), "eps": 1e-3, "weight_decay": 0.3},
    ],
)
def test_adamw_walks_with_torch(torch, pair, rng, dtype, options):
    descend(
        torch,
        *pair,
        rng,
        dtype,
        lambda ps: AdamW(ps, **options),
        lambda ps: torch.optim.AdamW(ps, **options),
    )


@pytest.mark.parametrize(
    "options",
    [
        {"lr": 1e-2},
        {"lr": 1e-2, "momentum": 0.9},
        {"lr": 1e-2, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
        {"lr": 1e-2, "weight_decay": 0.1},
    ],
)
def test_sgd_walks_with_torch(torch, pair, rng, dtype, options):
    descend(
        torch,
        *pair,
        rng,
        dtype,
        lambda ps: SGD(ps, **options),
        lambda ps: torch.optim.SGD(ps, **options),
    )


def test_groups_and_clipping_walk_with_torch(torch, pair, rng, dtype):
    def groups(ps):
        return [{"params": ps[:2], "weight_decay": 0.5}, {"params": ps[2:], "lr": 1e-3}]

    descend(
        torch,
        *pair,
        rng,
        dtype,
        lambda ps: AdamW(groups(ps), lr=1e-2),
        lambda ps: torch.optim.AdamW(groups(ps), lr=1e-2),
        clip=1.0,
    )


@pytest.mark.parametrize("warmup", [0, 1, 7, 40])
@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_are_those_of_transformers(torch, name, warmup):
    from transformers import get_scheduler

    total = 40
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    kind = "constant_with_warmup" if name == "constant" else name
    scheduler = get_scheduler(kind, optimizer, num_warmup_steps=warmup, num_training_steps=total)
    for step in range(total + 3):
        expected = 0.0 if name == "cosine" and step > total else scheduler.get_last_lr()[0]
        assert math.isclose(SCHEDULES[name](step, total, warmup), expected, abs_tol=1e-15)
        optimizer.step()
        scheduler.step()
