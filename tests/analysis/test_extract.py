import importlib

import numpy as np
import pytest

from minilora.analysis import RankRule, extract
from minilora.errors import CheckpointError, ConfigError, TargetError
from minilora.linalg import svd

LAYER = "bert.encoder.layer.0"
QUERY, DENSE = f"{LAYER}.attention.self.query", f"{LAYER}.output.dense"
WORDS, NORM = "bert.embeddings.word_embeddings", f"{LAYER}.output.LayerNorm"
ALL = RankRule("energy", 1.0)


@pytest.fixture
def tuned(rng):
    """A tuned model: its names have the prefix, and it has a head."""
    shapes = {
        f"{WORDS}.weight": (20, 6),
        f"{QUERY}.weight": (6, 6),
        f"{QUERY}.bias": (6,),
        f"{DENSE}.weight": (6, 9),
        f"{DENSE}.bias": (6,),
        f"{NORM}.weight": (6,),
        "classifier.weight": (3, 6),
        "classifier.bias": (3,),
    }
    return {name: rng.standard_normal(shape) for name, shape in shapes.items()}


@pytest.fixture
def base(tuned, rng):
    """The bare encoder it was tuned from, with old names, and a pooler and a buffer beside it."""
    names = {name: name.removeprefix("bert.") for name in tuned if "classifier" not in name}
    base = {old: tuned[new].copy() for new, old in names.items()}
    base["encoder.layer.0.output.LayerNorm.gamma"] = base.pop(
        "encoder.layer.0.output.LayerNorm.weight"
    )
    for new in (QUERY, DENSE):
        weight = base[f"{new.removeprefix('bert.')}.weight"]
        weight += rng.standard_normal(weight.shape)
    base["pooler.dense.weight"] = np.ones((6, 6))
    return base


def change_of(path, base, tuned):
    return tuned[f"{path}.weight"] - base[f"{path.removeprefix('bert.')}.weight"]


def test_all_directions_give_back_every_difference(base, tuned):
    found = extract(base, tuned, ALL)
    assert [update.path for update in found.updates] == [QUERY, DENSE]
    for update, layer in zip(found.updates, found.layers, strict=True):
        change = change_of(update.path, base, tuned)
        np.testing.assert_allclose(update.matrix(), change, atol=1e-12)
        assert update.scale == 1
        assert layer.size == pytest.approx(np.linalg.norm(change))
        assert layer.error == pytest.approx(0, abs=1e-12)
    assert found.left_out == {}


def test_a_rank_gives_the_best_of_that_rank_and_says_what_is_lost(base, tuned):
    found = extract(base, tuned, RankRule("rank", 2))
    for update, layer in zip(found.updates, found.layers, strict=True):
        change = change_of(update.path, base, tuned)
        np.testing.assert_allclose(update.matrix(), svd(change, rank=2).matrix(), atol=1e-12)
        lost = np.linalg.norm(change - update.matrix()) / np.linalg.norm(change)
        assert layer.error == pytest.approx(lost)
        assert layer.n_parameters == 2 * sum(change.shape)


def test_a_new_head_is_taken_over_whole(base, tuned):
    found = extract(base, tuned, ALL)
    assert found.modules_to_save == ("classifier",)
    assert set(found.others) == {"classifier.weight", "classifier.bias"}
    np.testing.assert_array_equal(found.others["classifier.weight"], tuned["classifier.weight"])


def test_what_is_not_taken_over_is_said_with_its_size(base, tuned):
    tuned[f"{QUERY}.bias"] *= 1.5
    tuned[f"{WORDS}.weight"] *= 1.1
    tuned[f"{NORM}.weight"] *= 1.2
    expected = {f"{QUERY}.bias": 0.5, f"{WORDS}.weight": 0.1, f"{NORM}.weight": 0.2}
    assert extract(base, tuned, ALL).left_out == pytest.approx(expected)


def test_modules_can_be_taken_over_whole(base, tuned):
    tuned[f"{NORM}.weight"] += 1
    found = extract(base, tuned, ALL, modules_to_save=["LayerNorm"])
    assert found.modules_to_save == (NORM, "classifier")
    assert f"{NORM}.weight" in found.others


def test_biases_are_taken_over_under_the_names_peft_has_for_them(base, tuned):
    tuned[f"{QUERY}.bias"] += 1
    found = extract(base, tuned, ALL, biases=True)
    assert {name for name in found.others if "bias" in name} == {
        f"{QUERY}.base_layer.bias",
        f"{DENSE}.base_layer.bias",
        "classifier.bias",
    }


def test_an_embedding_is_extracted_when_it_is_named(base, tuned, rng):
    tuned[f"{WORDS}.weight"] = tuned[f"{WORDS}.weight"] + rng.standard_normal((20, 6))
    found = extract(base, tuned, ALL, targets=["query", "word_embeddings"])
    assert found.embeddings == (WORDS,)
    update = next(u for u in found.updates if u.path == WORDS)
    assert update.transposed
    np.testing.assert_allclose(update.matrix().T, change_of(WORDS, base, tuned), atol=1e-12)
    assert f"{DENSE}.weight" in found.left_out


def test_factors_are_of_the_models_dtype(base, tuned):
    def cast(tensors, dtype):
        return {name: array.astype(dtype) for name, array in tensors.items()}

    assert extract(base, tuned, ALL).updates[0].A.dtype == np.float64
    for dtype in ("f2", "f4"):
        found = extract(cast(base, dtype), cast(tuned, dtype), ALL)
        assert found.updates[0].A.dtype == np.float32


@pytest.mark.parametrize("weighting", ["both", "left", "right"])
def test_singular_values_go_where_they_are_asked_to(base, tuned, weighting):
    (update, _) = extract(base, tuned, RankRule("rank", 2), weighting=weighting).updates
    B, A = svd(change_of(QUERY, base, tuned), rank=2).factors(weighting)
    np.testing.assert_allclose(update.A, A)
    np.testing.assert_allclose(update.B, B)


@pytest.mark.parametrize(("max_rank", "sv_epsilon"), [(3, 0.0), (9, 2.0)])
def test_mergekits_factors_are_mergekits(base, tuned, max_rank, sv_epsilon):
    """mergekit-extract-lora, re-derived: A = √S Vh, B = U √S, rank from max_rank and sv_epsilon."""
    found = extract(base, tuned, RankRule("threshold", sv_epsilon), max_rank=max_rank)
    for update in found.updates:
        U, S, Vh = np.linalg.svd(change_of(update.path, base, tuned), full_matrices=False)
        k = min(max_rank, int(np.sum(S > sv_epsilon)))
        signs = np.sign(np.sum(U[:, :k] * update.B, axis=0))  # an SVD leaves them open
        np.testing.assert_allclose(update.A, signs[:, None] * np.sqrt(S[:k])[:, None] * Vh[:k])
        np.testing.assert_allclose(update.B, signs * U[:, :k] * np.sqrt(S[:k]))


def test_a_fixed_rank_of_a_large_matrix_is_sketched(base, tuned, monkeypatch):
    whole = extract(base, tuned, RankRule("rank", 2))
    module = importlib.import_module("minilora.analysis.extract")
    monkeypatch.setattr(module, "LARGEST_DENSE", 4)
    monkeypatch.setattr(module, "svd", None)
    sketched = extract(base, tuned, RankRule("rank", 2))
    for one, two in zip(whole.layers, sketched.layers, strict=True):
        assert two.error == pytest.approx(one.error, rel=1e-6)
    for one, two in zip(whole.updates, sketched.updates, strict=True):
        np.testing.assert_allclose(two.matrix(), one.matrix(), atol=1e-6)


def test_no_layer_exceeds_the_largest_rank_allowed(base, tuned):
    assert {u.rank for u in extract(base, tuned, ALL, max_rank=3).updates} == {3}


def test_layers_are_told_as_they_come(base, tuned):
    seen = []
    found = extract(base, tuned, ALL, on_layer=seen.append)
    assert tuple(seen) == found.layers


def test_each_tensor_is_asked_for_once(base, tuned):
    class Counting(dict):
        def __getitem__(self, name):
            asked.append(name)
            return super().__getitem__(name)

    asked = []
    extract(Counting(base), Counting(tuned), ALL)
    assert len(asked) == len(set(asked))


def test_buffers_are_passed_over(base, tuned):
    tuned["bert.embeddings.position_ids"] = np.arange(5)
    assert "position_ids" not in str(extract(base, tuned, ALL))


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"targets": ["qurey"]}, TargetError, "Did you mean 'query'"),
        ({"targets": ["query", "key"]}, TargetError, "no matrix that changed is called 'key'"),
        ({"max_rank": 0}, ConfigError, "max_rank is 0"),
    ],
)
def test_what_cannot_be_extracted_is_refused(base, tuned, options, error, says):
    with pytest.raises(error, match=says):
        extract(base, tuned, ALL, **options)


def test_equal_models_have_nothing_to_extract(base):
    with pytest.raises(CheckpointError, match="no matrix changed"):
        extract(base, base, ALL)


def test_models_of_other_shapes_or_numbers_are_named(base, tuned):
    grown = tuned | {f"{WORDS}.weight": np.ones((21, 6))}
    with pytest.raises(CheckpointError, match=r"word_embeddings.weight is \(21, 6\) .* modules_to"):
        extract(base, grown, ALL)
    tuned[f"{DENSE}.weight"][0, 0] = np.nan
    with pytest.raises(CheckpointError, match=r"dense\.weight of the tuned model has"):
        extract(base, tuned, ALL)


@pytest.mark.parametrize("whose", ["base", "tuned model"])
def test_a_model_that_diverged_is_refused(base, tuned, whose):
    of = base if whose == "base" else tuned
    name = next(name for name in of if name.endswith("self.query.weight"))
    of[name] = np.full_like(of[name], np.nan)
    with pytest.raises(CheckpointError, match=f"query.weight of the {whose} has entries that are"):
        extract(base, tuned, ALL)


def test_a_tensor_outside_any_module_is_refused(base, tuned):
    tuned["logit_scale"] = np.ones(1)
    with pytest.raises(CheckpointError, match="logit_scale is a tensor outside any module"):
        extract(base, tuned, ALL)
