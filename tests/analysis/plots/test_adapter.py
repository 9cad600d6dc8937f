import io
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from minilora.adapters import LowRankUpdate
from minilora.analysis import inspect_updates
from minilora.analysis.plots import adapter_chart, describe_adapter
from minilora.analysis.plots.adapter import energy_by_rank, excess_amplification

KINDS = ("query", "value")


def updates(rng, n_layers=2, kinds=KINDS, size=1.0):
    return [
        LowRankUpdate(
            f"encoder.layer.{i}.attention.{kind}",
            size * rng.standard_normal((12, 3)),
            rng.standard_normal((3, 10)),
            2.0,
        )
        for i in range(n_layers)
        for kind in kinds
    ]


@pytest.fixture
def report(rng):
    adapter = updates(rng)
    base = {f"{u.path}.weight": rng.standard_normal((12, 10)) for u in adapter}
    return inspect_updates(adapter, base=base, adapter="runs/ner")


def test_both_files_carry_their_description(report):
    drawn = adapter_chart(report)
    assert Image.open(io.BytesIO(drawn.png)).text["Description"] == drawn.description
    root = ElementTree.fromstring(drawn.svg)
    space = "{http://www.w3.org/2000/svg}"
    assert root.find(f"{space}title").text == "runs/ner: what the adapter learned"
    assert root.find(f"{space}desc").text == drawn.description


def test_the_same_report_is_the_same_files(report):
    one, two = adapter_chart(report), adapter_chart(report)
    assert (one.png, one.svg) == (two.png, two.svg)


def test_the_description_says_what_is_seen(report):
    said = describe_adapter(report)
    assert said.startswith("4 adapted layers, 264 parameters. Effective rank from ")
    assert "times that of random directions" in said


def test_without_a_base_there_is_no_word_of_amplification(rng):
    report = inspect_updates(updates(rng))
    assert "amplification" not in describe_adapter(report)
    assert adapter_chart(report).png


def test_energies_of_all_layers_add_up(report):
    shares = energy_by_rank(report)
    energies = np.sum([np.square(layer.update.values) for layer in report.layers], axis=0)
    np.testing.assert_allclose(shares, np.cumsum(energies) / energies.sum())


def test_amplification_is_beside_chance(report):
    layer = report.layers[0]
    factors = layer.base.amplification
    assert excess_amplification(layer) == factors.both / factors.both_random
    assert excess_amplification(replace(layer, base=None)) is None


@pytest.mark.parametrize(
    ("n_layers", "kinds", "size"),
    [(1, ("query",), 1.0), (2, KINDS, 0.0), (40, tuple("qkvogud"), 1.0)],
    ids=["one layer", "nothing learned", "many layers"],
)
def test_every_adapter_can_be_drawn(rng, n_layers, kinds, size):
    adapter = updates(rng, n_layers, kinds, size)
    base = {f"{u.path}.weight": rng.standard_normal((12, 10)) for u in adapter}
    assert adapter_chart(inspect_updates(adapter, base=base)).png


def test_layers_without_a_number_can_be_drawn(rng):
    adapter = [replace(update, path="pooler") for update in updates(rng, 1, ("query",))]
    assert adapter_chart(inspect_updates(adapter, adapter="$a_{$")).svg
