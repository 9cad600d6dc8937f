import pytest
import time_per_token


def result(workload, seconds):
    side = {"seconds": [seconds] * 3}
    ratio = {"median": 0.5, "q1": 0.4, "q3": 0.6, "min": 0.4}
    return {
        "workload": workload,
        "threads": 2,
        "tokens": [1000] * 3,
        "padding": 0.25,
        "floor": {"seconds": [seconds / 4] * 3},
        "sides": {"minilora": side, "torch": {"seconds": [seconds * 2] * 3}},
        "against": {"torch": {"ratio": ratio}},
    }


@pytest.fixture
def points():
    return {
        "batch": [result("train:real:1", 0.1), result("train:real:256", 0.01)],
        "length": [result("train:16:128", 0.1), result("train:512:4", 0.2)],
    }


def test_where_the_length_varies_batches_hold_as_many_tokens(minilm_folder_is_not_read):
    options = time_per_token.parse_options(["--tokens", "2048", "--batches", "1", "256"])
    made = {k: [str(w) for w in some] for k, some in time_per_token.workloads(options).items()}
    assert made["batch"] == ["train:real:1", "train:real:256"]
    assert made["length"][0] == "train:16:128"
    assert made["length"][-1] == "train:512:4"


@pytest.fixture
def minilm_folder_is_not_read(monkeypatch, tmp_path):
    monkeypatch.setattr("bench.default_base", lambda: tmp_path)


def test_time_is_that_of_a_real_token(points):
    first, *_ = points["batch"]
    times = [time_per_token.microseconds(first, name) for name in time_per_token.COLOURS]
    assert times == pytest.approx([100, 200, 25])
    row = time_per_token.table(points["batch"]).splitlines()[2].split()
    assert row == ["train:real:1", "2", "100.0", "200.0", "25.0", "0.500", "25%"]


def test_the_figure_shows_both(points, tmp_path):
    path = tmp_path / "figure.png"
    time_per_token.draw(path, points, "a title")
    assert path.read_bytes().startswith(b"\x89PNG")
