import pytest

from minilora.cli.layers import byte_count, natural, short_paths


def test_paths_lose_the_names_that_all_begin_with():
    paths = ["bert.encoder.layer.0.query", "bert.encoder.layer.1.query", "bert.encoder.pooler"]
    assert short_paths(paths) == ["layer.0.query", "layer.1.query", "pooler"]


@pytest.mark.parametrize("paths", [["query"], ["a", "a.b"]])
def test_every_layer_keeps_a_name(paths):
    assert short_paths(paths) == paths


def test_a_single_layer_keeps_its_last_name():
    assert short_paths(["bert.encoder.query"]) == ["query"]


@pytest.mark.parametrize(
    ("n", "shown"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1 kB"), (312_508, "313 kB"), (5e10, "50 GB")],
)
def test_sizes_have_three_digits(n, shown):
    assert byte_count(int(n)) == shown


def test_layer_10_comes_after_layer_9():
    paths = ["layer.10.q", "layer.9.v", "layer.9.q", "pooler", "layer.norm"]
    in_order = ["layer.norm", "layer.9.q", "layer.9.v", "layer.10.q", "pooler"]
    assert sorted(paths, key=natural) == in_order
