"""Kernels may be called from several threads, the very first time included."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from minilora.kernels import jitted

FIRST_CALLS = """
import threading
from concurrent.futures import ThreadPoolExecutor
import numpy as np
from minilora import kernels

x = np.random.default_rng(0).normal(size=(9, 16)).astype(np.float32)
barrier = threading.Barrier(4)

def first_call(name):
    barrier.wait()
    return getattr(kernels, name)(x)

with ThreadPoolExecutor(4) as pool:
    a, b, c, d = pool.map(first_call, ["gelu", "gelu", "softmax", "softmax"])
kernels.use("reference")
np.testing.assert_array_equal(a, b)
np.testing.assert_array_equal(c, d)
np.testing.assert_allclose(a, kernels.gelu(x), atol=1e-6)
np.testing.assert_allclose(c, kernels.softmax(x), atol=1e-6)
"""


def test_the_first_calls_may_come_from_four_threads_at_once(tmp_path):
    process = subprocess.run(
        [sys.executable, "-c", FIRST_CALLS],
        env=os.environ | {"MINILORA_CACHE": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr


def test_threads_share_nothing(rng):
    q, k, v, dout = rng.normal(size=(4, 300, 24)).astype(np.float32)
    options = np.array([0, 90, 300]), 3, 0.1, 5

    def there_and_back(_):
        out, lse = jitted.attention(q, k, v, *options)
        return jitted.attention_backward(dout, q, k, v, out, lse, *options)

    alone = there_and_back(0)
    with ThreadPoolExecutor(4) as pool:
        for together in pool.map(there_and_back, range(16)):
            for got, want in zip(together, alone, strict=True):
                np.testing.assert_array_equal(got, want)
