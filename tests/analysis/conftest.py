"""Adapters of chosen spectra, and bases that they change."""

import sys
from pathlib import Path

import numpy as np
import pytest

from minilora.adapters import LowRankUpdate

sys.path.insert(0, str(Path(__file__).parent))  # the formulas import each other by plain names

O, I = 12, 10


@pytest.fixture
def make_update(rng):
    """make_update("layer.0.q", [3, 1]): an update with these singular values, scale and all."""

    def make(path, values, *, shape=(O, I), scale=2.0):
        U, V = (np.linalg.qr(rng.standard_normal((d, len(values))))[0] for d in shape)
        return LowRankUpdate(path, U * (np.array(values) / scale), V.T.copy(), scale)

    return make


@pytest.fixture
def adapter(make_update):
    """Two layers with query and value, rank 4 each, nearly all in two directions."""
    values = {"query": [4, 2, 0.01, 0.01], "value": [8, 1, 0.02, 0.01]}
    return [
        make_update(f"encoder.layer.{i}.attention.{kind}", of)
        for i in range(2)
        for kind, of in values.items()
    ]


@pytest.fixture
def base(adapter, rng):
    """A weight for each layer of `adapter`, by name."""
    return {f"{u.path}.weight": 3 * rng.standard_normal((O, I)) for u in adapter}
