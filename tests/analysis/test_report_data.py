import base64
import json

import numpy as np
import pytest

from minilora.analysis import compare_adapters, inspect_updates, report_data
from minilora.analysis.report_data import page_data


@pytest.fixture
def data(adapter, base):
    return page_data(inspect_updates(adapter, base=base), adapter, other_bytes=7)


def directions(quantised):
    whole = np.frombuffer(base64.b64decode(quantised["bytes"]), np.int8)
    scales = np.array(quantised["scales"])
    return whole.reshape(len(scales), -1) * scales[:, None]


def test_page_data_are_json(data):
    assert json.loads(json.dumps(data, allow_nan=False)) == data


def test_every_layer_has_its_singular_values_and_sizes(data, adapter):
    assert data["otherBytes"] == 7
    for layer, update in zip(data["layers"], adapter, strict=True):
        assert layer["path"] == update.path
        assert layer["shape"] == [12, 10]
        assert layer["itemBytes"] == update.A.dtype.itemsize
        np.testing.assert_allclose(layer["values"], update.svd().S, rtol=1e-3)


def test_a_picture_is_near_the_entries_of_the_update(data, adapter):
    picture, update = data["layers"][0]["picture"], adapter[0]
    left, right = directions(picture["left"]), directions(picture["right"])
    entries = (left.T * data["layers"][0]["values"]) @ right
    whole = update.matrix()[np.ix_(picture["rows"], picture["columns"])]
    assert np.abs(entries - whole).max() < 0.02 * np.abs(whole).max()


def test_a_direction_that_is_zero_there_is_drawn_as_zero(make_update):
    update = make_update("q", [1.0])
    update.B[:] = 0
    data = page_data(inspect_updates([update]), [update])
    picture = data["layers"][0]["picture"]
    assert np.isfinite(directions(picture["left"])).all()


def test_what_is_known_without_a_base_can_be_chosen_for_the_map(adapter):
    without = page_data(inspect_updates(adapter), adapter)
    assert set(without["measures"]) == {
        *("effective_rank", "energy_rank_99", "stable_rank", "frobenius")
    }
    assert "base" not in without["layers"][0]


def test_with_a_base_there_is_more_to_choose(data):
    assert {"relative_norm", "amplification", "intruders"} < set(data["measures"])
    for measure in data["measures"].values():
        assert len(measure["values"]) == 4
        assert measure["means"]


def test_similarity_is_in_per_cent(adapter):
    report, comparison = inspect_updates(adapter), compare_adapters(adapter, adapter)
    layer = page_data(report, adapter, comparison)["layers"][0]
    assert layer["other"]["cosine"] == pytest.approx(1)
    assert layer["other"]["phi"]["left"][-1][-1] == 100


def test_a_layer_that_the_other_adapter_lacks_has_no_comparison(adapter):
    comparison = compare_adapters(adapter, adapter[:1])
    layers = page_data(inspect_updates(adapter), adapter, comparison)["layers"]
    assert ["other" in layer for layer in layers] == [True, False, False, False]


def test_only_the_strongest_layers_have_pictures_when_room_is_short(adapter, monkeypatch):
    monkeypatch.setattr(report_data, "PICTURE_BYTES", 700)
    layers = page_data(inspect_updates(adapter), adapter)["layers"]
    assert ["picture" in layer for layer in layers] == [False, True, False, True]


def test_one_layer_always_has_a_picture(adapter, monkeypatch):
    monkeypatch.setattr(report_data, "PICTURE_BYTES", 1)
    layers = page_data(inspect_updates(adapter), adapter)["layers"]
    assert sum("picture" in layer for layer in layers) == 1


def test_spectra_of_large_weights_are_thinned_evenly_on_a_logarithmic_axis(make_update, rng):
    update = make_update("q", [1.0], shape=(90, 80))
    W = rng.standard_normal((90, 80))
    data = page_data(inspect_updates([update], base={"q.weight": W}), [update])
    pairs = data["layers"][0]["base"]["weight"]
    assert len(pairs) < 48
    assert [i for i, _ in pairs[:5]] == [1, 2, 3, 4, 5]
    assert pairs[-1][0] == 80
    S = np.linalg.svd(W, compute_uv=False)
    np.testing.assert_allclose([s for _, s in pairs], [S[i - 1] for i, _ in pairs], rtol=1e-3)
