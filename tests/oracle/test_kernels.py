"""Each kernel beside PyTorch's own: values, and gradients by its autograd."""

import numpy as np
import pytest

from minilora.kernels import jitted, reference

pytestmark = pytest.mark.oracle
twins = pytest.mark.parametrize("kernels", [jitted, reference], ids=["jitted", "reference"])
both_dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def close(got, want, dtype):
    tolerance = 1e-12 if dtype == np.float64 else 5e-6
    np.testing.assert_allclose(got, want.detach().numpy(), rtol=tolerance, atol=tolerance)


@pytest.fixture
def torch():
    import torch

    return torch


@pytest.fixture
def leaf(torch):
    return lambda a: torch.tensor(a, requires_grad=True)


@twins
@both_dtypes
@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_gelu(kernels, dtype, approximate, rng, torch, leaf):
    suffix = "_tanh" if approximate == "tanh" else ""
    x, dy = (3 * rng.normal(size=(2, 7, 40))).astype(dtype)
    theirs = leaf(x)
    y = torch.nn.functional.gelu(theirs, approximate=approximate)
    y.backward(torch.tensor(dy))
    close(getattr(kernels, f"gelu{suffix}")(x), y, dtype)
    close(getattr(kernels, f"gelu{suffix}_backward")(dy, x), theirs.grad, dtype)


@twins
@both_dtypes
def test_layer_norm(kernels, dtype, rng, torch, leaf):
    x, dy = rng.normal(size=(2, 9, 40)).astype(dtype)
    weight, bias = rng.normal(size=(2, 40)).astype(dtype)
    theirs = leaf(x)
    want = torch.nn.functional.layer_norm(
        theirs, (40,), torch.tensor(weight), torch.tensor(bias), 1e-12
    )
    want.backward(torch.tensor(dy))
    y, x_hat, rstd = kernels.layer_norm(x, weight, bias, 1e-12)
    close(y, want, dtype)
    close(kernels.layer_norm_backward(dy, x_hat, rstd, weight), theirs.grad, dtype)


@twins
@both_dtypes
def test_softmax_and_its_logarithm(kernels, dtype, rng, torch, leaf):
    x, dp = (4 * rng.normal(size=(2, 5, 30))).astype(dtype)
    theirs = leaf(x)
    p = torch.softmax(theirs, dim=1)
    p.backward(torch.tensor(dp))
    close(kernels.softmax(x), p, dtype)
    close(kernels.softmax_backward(dp, kernels.softmax(x)), theirs.grad, dtype)
    close(kernels.log_softmax(x), torch.log_softmax(theirs, dim=1), dtype)


@twins
@both_dtypes
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy(kernels, dtype, smoothing, rng, torch, leaf):
    logits = (3 * rng.normal(size=(12, 9))).astype(dtype)
    targets = np.where(rng.random(12) < 0.3, -100, rng.integers(0, 9, 12))
    theirs = leaf(logits)
    want = torch.nn.functional.cross_entropy(
        theirs, torch.tensor(targets), label_smoothing=smoothing, reduction="sum"
    )
    want.backward()
    loss, dlogits = kernels.cross_entropy(logits, targets, -100, smoothing)
    close(loss, want, dtype)
    close(dlogits, theirs.grad, dtype)


@twins
@both_dtypes
@pytest.mark.parametrize("L", [1, 28, 150])
def test_attention(kernels, dtype, L, rng, torch, leaf):
    H, K = 3, 32
    q, k, v, dout = rng.normal(size=(4, 2 * L, H * K)).astype(dtype)
    leaves = [leaf(a) for a in (q, k, v)]
    heads = [a.reshape(2, L, H, K).transpose(1, 2) for a in leaves]
    want = torch.nn.functional.scaled_dot_product_attention(*heads)
    want = want.transpose(1, 2).reshape(2 * L, H * K)
    want.backward(torch.tensor(dout))
    options = np.array([0, L, 2 * L]), H, 0.0, 0
    out, lse = kernels.attention(q, k, v, *options)
    close(out, want, dtype)
    gradients = kernels.attention_backward(dout, q, k, v, out, lse, *options)
    for got, theirs in zip(gradients, leaves, strict=True):
        close(got, theirs.grad, dtype)


@twins
@both_dtypes
def test_scatter_add(kernels, dtype, rng, torch, leaf):
    ids, dy = rng.integers(0, 6, 20), rng.normal(size=(20, 8)).astype(dtype)
    table = leaf(np.zeros((6, 8), dtype))
    torch.nn.functional.embedding(torch.tensor(ids), table).backward(torch.tensor(dy))
    close(kernels.scatter_add(ids, dy, 6), table.grad, dtype)


@twins
@both_dtypes
def test_ten_steps_of_adamw(kernels, dtype, rng, torch):
    param = rng.normal(size=(7, 3)).astype(dtype)
    theirs = torch.nn.Parameter(torch.tensor(param))
    optimizer = torch.optim.AdamW(
        [theirs], lr=1e-2, betas=(0.9, 0.99), eps=1e-8, weight_decay=0.1, foreach=False
    )
    m, v = np.zeros_like(param), np.zeros_like(param)
    for step in range(1, 11):
        grad = rng.normal(size=(7, 3)).astype(dtype)
        theirs.grad = torch.tensor(grad)
        optimizer.step()
        kernels.adamw_step(param, grad, m, v, 1e-2, 0.9, 0.99, 1e-8, 0.1, step)
    close(param, theirs, dtype)
