"""A small model with the paths of a BERT and none of its work."""

import numpy as np
import pytest

from minilora.autograd import Tensor
from minilora.nn import LayerNorm, Linear, Module

D, F, C = 6, 9, 4  # width, feed-forward width, classes: all different, so a transpose shows


def linear(rng, dtype, n_out, n_in):
    W, b = rng.standard_normal((n_out, n_in)) / 3, rng.standard_normal(n_out) / 3
    return Linear(W.astype(dtype), b.astype(dtype))


class Layer(Module):
    def __init__(self, rng, dtype):
        self.query = linear(rng, dtype, D, D)
        self.value = linear(rng, dtype, D, D)
        self.intermediate = linear(rng, dtype, F, D)
        self.output = linear(rng, dtype, D, F)
        self.LayerNorm = LayerNorm(np.ones(D, dtype), np.zeros(D, dtype), eps=1e-5)

    def forward(self, x):
        h = self.query(x) * self.value(x)
        return self.LayerNorm(x + self.output(self.intermediate(h)))


class Encoder(Module):
    def __init__(self, rng, dtype):
        self.layer = [Layer(rng, dtype), Layer(rng, dtype)]


class Toy(Module):
    def __init__(self, rng, dtype):
        self.encoder = Encoder(rng, dtype)
        self.classifier = linear(rng, dtype, C, D)

    def forward(self, x):
        for layer in self.encoder.layer:
            x = layer(x)
        return self.classifier(x)


@pytest.fixture(params=[np.float32, np.float64], ids=["float32", "float64"])
def dtype(request):
    return request.param


@pytest.fixture
def toy(rng, dtype):
    return Toy(rng, dtype)


@pytest.fixture
def toy64(rng):
    return Toy(rng, np.float64)


@pytest.fixture
def stir(rng):
    """Move every trained parameter away from its start, where ΔW = 0 would hide mistakes."""

    def move(model):
        for _, p in model.named_parameters():
            if p.requires_grad:
                p.data += (0.3 * rng.standard_normal(p.shape)).astype(p.dtype)

    return move


@pytest.fixture
def x(rng, dtype):
    return Tensor(rng.standard_normal((5, D)).astype(dtype))
