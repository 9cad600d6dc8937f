import importlib
import json
import tracemalloc
import weakref

import numpy as np
import pytest

from minilora.adapters import LowRankUpdate
from minilora.analysis import inspect_updates
from minilora.analysis.ledger import Cost
from minilora.analysis.report import MEANINGS, BaseReport
from minilora.analysis.spectrum import Spectrum
from minilora.errors import CheckpointError, ConfigError, NumericError
from minilora.linalg import svd


def test_every_layer_is_measured_in_order(adapter):
    report = inspect_updates(adapter)
    assert [layer.path for layer in report.layers] == [update.path for update in adapter]
    for layer, update in zip(report.layers, adapter, strict=True):
        np.testing.assert_allclose(layer.update.values, svd(update.matrix()).S[:4], atol=1e-12)
        assert (layer.rank, layer.scale, layer.shape) == (4, 2.0, (12, 10))
        assert layer.n_parameters == 4 * 22
        assert layer.base is None


@pytest.mark.parametrize(
    ("path", "number", "kind"),
    [
        ("bert.encoder.layer.3.attention.self.query", 3, "attention.self.query"),
        ("model.layers.11.mlp.experts.2.w1", 11, "mlp.experts.2.w1"),
        ("0.linear", 0, "linear"),
        ("lm_head", None, "lm_head"),
    ],
)
def test_a_layer_is_placed_by_its_path(make_update, path, number, kind):
    (layer,) = inspect_updates([make_update(path, [1.0])]).layers
    assert (layer.number, layer.kind) == (number, kind)


def test_a_grid_has_a_cell_for_each_layer_and_kind(adapter, make_update):
    report = inspect_updates([*adapter, make_update("pooler", [5.0])])
    grid = report.grid(lambda layer: layer.update.spectral)
    assert grid.numbers == (None, 0, 1)
    assert grid.kinds == ("attention.query", "attention.value", "pooler")
    np.testing.assert_allclose(grid.values, [[np.nan] * 2 + [5], [4, 8, np.nan], [4, 8, np.nan]])


def test_a_measure_that_is_none_leaves_its_cell_empty(adapter):
    grid = inspect_updates(adapter).grid(lambda layer: None)
    assert np.isnan(grid.values).all()


@pytest.mark.parametrize("with_base", [False, True])
def test_the_report_is_plain_json(adapter, base, with_base):
    report = inspect_updates(adapter, base=base if with_base else None)
    again = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert again["layers"][1]["update"]["spectral"] == pytest.approx(8)
    assert (again["layers"][0]["base"] is not None) == with_base


def test_every_measure_in_the_report_is_explained():
    said = {*Spectrum.__dataclass_fields__, *Cost.__dataclass_fields__}
    said |= {*BaseReport.__dataclass_fields__}
    assert said - {"complete", "weight", "adapted"} == set(MEANINGS)


def test_with_the_base_it_measures_what_the_update_does_to_it(adapter, base):
    report = inspect_updates(adapter, base=base)
    for layer, update in zip(report.layers, adapter, strict=True):
        W, dW = base[f"{update.path}.weight"], update.matrix()
        found = layer.base
        np.testing.assert_allclose(found.weight.values, svd(W).S, atol=1e-12)
        np.testing.assert_allclose(found.adapted.values, svd(W + dW).S, atol=1e-12)
        assert found.relative_norm == pytest.approx(np.linalg.norm(dW) / np.linalg.norm(W))
        assert found.amplification.both_leading is not None
        assert [i.side for i in found.intruders] == ["left", "right"]
        phi = np.array(found.similarity.right.values)
        V, V0 = svd(dW).Vh[:4], svd(W).Vh
        assert phi.shape == (4, 10)
        assert phi[0, 0] == pytest.approx((V[0] @ V0[0]) ** 2)


@pytest.mark.parametrize("largest_dense", [99, 1])
def test_tables_of_similarity_end_somewhere(adapter, base, monkeypatch, largest_dense):
    monkeypatch.setattr(importlib.import_module("minilora.analysis.inspect"), "DEPTH", 3)
    report = inspect_updates(adapter, base=base, largest_dense=largest_dense)
    for side in ("left", "right"):
        for table in ("values", "null"):
            phi = getattr(report.layers[0].base.similarity, side)
            assert np.shape(getattr(phi, table)) == (3, 3)


def test_a_large_base_is_sketched_and_that_is_said(adapter, base, monkeypatch):
    whole = inspect_updates(adapter, base=base)
    monkeypatch.setattr(importlib.import_module("minilora.analysis.inspect"), "LEADING", 5)
    sketched = inspect_updates(adapter, base=base, largest_dense=9)
    assert "4 base weights have both sides above 9" in sketched.notes[-1]
    assert not whole.notes
    for one, two in zip(whole.layers, sketched.layers, strict=True):
        assert len(two.base.weight.values) == 5
        for name in ("weight", "adapted"):
            exact, found = getattr(one.base, name), getattr(two.base, name)
            np.testing.assert_allclose(found.values, exact.values[:5], rtol=1e-6)
            assert found.frobenius == pytest.approx(exact.frobenius)
            assert not found.complete
        assert two.base.relative_norm == pytest.approx(one.base.relative_norm)
        assert two.base.amplification.both == pytest.approx(one.base.amplification.both)
        assert two.base.intruders == ()


def test_base_weights_are_read_one_at_a_time(adapter, base):
    alive = weakref.WeakSet()

    class Array(np.ndarray):
        """So that it can be referred to weakly and hashed."""

        __hash__ = object.__hash__

    class Reading(dict):
        def __getitem__(self, name):
            assert not alive, "the one before is still held"
            array = super().__getitem__(name).copy().view(Array)
            alive.add(array)
            return array

    report = inspect_updates(adapter, base=Reading(base))
    assert len(report.layers) == 4


def peak_bytes(call):
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_an_update_is_never_formed(rng):
    B, A = rng.standard_normal((3000, 4)), rng.standard_normal((4, 3000))
    update = LowRankUpdate("a", B, A, 1.0)
    assert peak_bytes(lambda: inspect_updates([update])) < 3000 * 3000 * 8 / 50


@pytest.mark.parametrize(
    ("dtype", "small", "copies"),
    [(np.float16, 2**25, 2), (np.float16, 0, 1), (np.float32, 0, 1), (np.float32, 2**25, 1)],
)
def test_of_a_large_base_there_is_no_further_copy(rng, monkeypatch, dtype, small, copies):
    monkeypatch.setattr(importlib.import_module("minilora.analysis.inspect"), "SMALL", small)
    side = 2304
    B, A = (rng.standard_normal(shape).astype("f4") for shape in [(side, 4), (4, side)])
    W = rng.standard_normal((side, side), dtype=np.float32).astype(dtype)
    update = LowRankUpdate("a", B, A, 1.0)
    peak = peak_bytes(lambda: inspect_updates([update], base={"a.weight": W}))
    assert peak < copies * 4 * W.size  # half precision becomes float32; W + dW is never formed


def test_layers_are_told_as_they_come(adapter):
    seen = []
    report = inspect_updates(adapter, on_layer=seen.append)
    assert tuple(seen) == report.layers


def test_notes_of_the_reader_come_first(adapter):
    assert inspect_updates(adapter, notes=["This is DoRA."]).notes == ("This is DoRA.",)


def test_factors_that_are_wider_than_the_matrix_are_measured(rng):
    wide = LowRankUpdate("a", rng.standard_normal((2, 5)), rng.standard_normal((5, 8)), 1.0)
    (layer,) = inspect_updates([wide], base={"a.weight": np.ones((2, 8))}).layers
    assert len(layer.update.values) == 2
    assert layer.update.numerical_rank == 2


def test_a_zero_base_has_no_relative_norm(make_update):
    update = make_update("a", [1.0])
    (layer,) = inspect_updates([update], base={"a.weight": np.zeros((12, 10))}).layers
    assert layer.base.relative_norm is None


def test_what_cannot_be_inspected_is_refused(adapter, base):
    with pytest.raises(ConfigError, match="no updates"):
        inspect_updates([])
    with pytest.raises(CheckpointError, match=r"no weight for encoder\.layer\.0"):
        inspect_updates(adapter, base={})
    base[f"{adapter[0].path}.weight"][0, 0] = np.nan
    for largest_dense in (99, 1):
        with pytest.raises(NumericError, match=r"encoder\.layer\.0\.attention\.query: .* NaN"):
            inspect_updates(adapter, base=base, largest_dense=largest_dense)


def test_the_type_an_adapter_was_saved_in_does_not_change_its_rank(rng):
    B, A = (np.linalg.qr(rng.standard_normal((1024, 8)))[0] for _ in range(2))
    half = LowRankUpdate("q", B.astype(np.float16), A.T.astype(np.float16), 1.0)
    (layer,) = inspect_updates([half]).layers
    assert layer.update.numerical_rank == 8
