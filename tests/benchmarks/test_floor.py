from dataclasses import replace

import gemm_side
import numpy as np
import pytest
import report
from flops import PROJECTIONS, Sizes, Work, attention, step_flops, weight

from minilora.adapters import LowRankUpdate
from minilora.analysis import ledger

SIZES = Sizes(n_layers=3, D=8, F=32, C=5)
LENGTHS = [4, 7]
FORWARD, FULL = Work(train=False), Work(train=True)
QUERY_VALUE = Work(train=True, adapted=("query", "value"), r=2)
ALL_LINEAR = Work(train=True, adapted=tuple(SIZES.weights), r=2)


@pytest.mark.parametrize("shape", [(8, 8), (32, 8), (8, 32)])
def test_a_weight_takes_what_the_ledger_says(shape):
    O, I = shape
    rng = np.random.default_rng(0)
    B, A = rng.standard_normal((O, 2)), rng.standard_normal((2, I))
    costs = ledger([LowRankUpdate(path="w", B=B, A=A, scale=1.0)])
    adapted = weight(shape, QUERY_VALUE, adapted=True, below=True)
    assert adapted == costs.lora.flops_training
    assert weight(shape, FULL, adapted=False, below=True) == costs.full.flops_training
    assert weight(shape, FORWARD, adapted=False, below=True) == costs.merged.flops_forward


def test_a_forward_pass_is_its_matrix_products():
    T, D, F, C = sum(LENGTHS), SIZES.D, SIZES.F, SIZES.C
    products = 2 * T * D * (4 * D + 2 * F)
    per_sequence = sum(2 * 2 * L * L * D for L in LENGTHS)
    assert step_flops(SIZES, FORWARD, LENGTHS) == 3 * (products + per_sequence) + 2 * T * C * D


def test_training_every_weight_takes_three_times_the_forward_pass():
    assert step_flops(SIZES, FULL, LENGTHS) == 3 * step_flops(SIZES, FORWARD, LENGTHS)


def test_nothing_is_needed_below_the_lowest_adapter():
    assert attention(8, QUERY_VALUE, below=True) == 3 * attention(8, FORWARD, below=True)
    assert attention(8, QUERY_VALUE, below=False) == attention(8, QUERY_VALUE, below=True) - 2 * 8
    one = Sizes(n_layers=1, D=8, F=32, C=5)
    spared = len(PROJECTIONS) * 2 * 8 * 8 + 2 * 2 * 2 * 8  # W's and A's gradients by the input
    above = step_flops(Sizes(2, 8, 32, 5), QUERY_VALUE, [1]) - step_flops(one, QUERY_VALUE, [1])
    lowest = step_flops(one, QUERY_VALUE, [1]) - 6 * one.C * one.D
    assert above - lowest == spared + 2 * 8  # and the key's in attention


def test_adapting_more_takes_more_and_training_every_weight_the_most():
    thin = [replace(work, r=1) for work in (QUERY_VALUE, ALL_LINEAR)]
    works = [FORWARD, *thin, FULL]
    counts = [step_flops(SIZES, work, LENGTHS) for work in works]
    assert counts == sorted(set(counts))


@pytest.mark.parametrize("threads", [1, 2])
def test_the_rate_of_matrix_products_is_measured(threads, monkeypatch):
    monkeypatch.setattr(gemm_side, "LEAST_SECONDS", 0)
    peak = gemm_side.peak(n_tokens=64, shapes=[(16, 8), (16, 8), (8, 16)], threads=threads)
    assert 0 < peak["gflops"] < 1e5
    assert peak["way"] in ({"BLAS", "parts"} if threads > 1 else {"BLAS"})


def test_the_floor_stands_beside_the_step():
    floor = {"seconds": [0.001, 0.002, 0.003]}
    assert report.floor_cells(floor, {"seconds": [0.002, 0.006, 0.006]}) == ("2.0", "2.00")
