import itertools

import ladder
import numpy as np
import pytest
from corpora import IGNORED
from ladder_side import PAD, padded
from workloads import TokenBatch


@pytest.fixture
def batch():
    return TokenBatch.pack([([1, 9, 2], [IGNORED, 0, IGNORED]), ([1, 2], [IGNORED, IGNORED])])


def test_padding_makes_every_sequence_as_long_as_the_longest(batch):
    whole = padded(batch)
    assert whole.input_ids.tolist() == [1, 9, 2, 1, 2, PAD]
    assert whole.position_ids.tolist() == [0, 1, 2] * 2
    assert whole.offsets.tolist() == [0, 3, 6]
    assert whole.labels.tolist() == [IGNORED, 0] + [IGNORED] * 4


def test_no_step_of_the_ladder_takes_away_what_one_before_brought():
    switched_off = [
        {k for k, v in side.load.items() if v} | set(side.env) - set(ladder.GLIBC_KEEPS_MEMORY)
        for side in ladder.LADDER.values()
    ]
    for before, after in itertools.pairwise(switched_off):
        assert after <= before


def figures(seconds):
    return {"seconds": seconds, "peak": 5_000_000, "minor_faults": [3, 3, 3]}


def test_a_row_is_held_against_the_one_before_and_against_pytorch():
    ratio = dict.fromkeys(("median", "q1", "q3", "min"), 0.5)
    result = {
        "workload": "train:real:4",
        "threads": 2,
        "cores_busy_with_others": 0.0,
        "floor": {"seconds": np.array([0.1, 0.2, 0.3]), "gflops": 90.0},
        "sides": {
            **{name: figures([0.8 / 2**i] * 3) for i, name in enumerate(ladder.LADDER)},
            ladder.PYTORCH: figures([1.0] * 3),
        },
        "against_torch": {name: {"ratio": ratio} for name in ladder.LADDER},
    }
    _, _, _, *rows = ladder.table(result).splitlines()
    first, second, *_, torch, floor = (row.split() for row in rows)
    assert first[-7:] == ["threads", "800.0", "0.500", "0.500-0.500", "0.500", "5", "3"]
    assert second[-7:] == ["400.0", "0.50", "0.500", "0.500-0.500", "0.500", "5", "3"]
    assert torch[-4:] == ["1000.0", "1", "5", "3"]
    assert floor[-3:] == ["GFLOP/s", "200.0", "0.200"]
