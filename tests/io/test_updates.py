import json

import numpy as np
import pytest

from minilora.adapters import LoraConfig, LowRankUpdate, inject
from minilora.errors import CheckpointError, ConfigError, OutputError
from minilora.io import (
    load_adapter,
    new_updates,
    read_adapter_info,
    read_updates,
    save_adapter,
    write_updates,
)
from minilora.storage import read_tensors, write_tensors

PREFIX = "base_model.model."
WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"
LLAMA = "model.layers.{}.self_attn.{}"


@pytest.fixture
def foreign(tmp_path, rng):
    """make(...): an adapter folder as PEFT would save it of some model unknown here."""

    def make(layers, name="adapter", others=None, **settings):
        folder = tmp_path / name
        tensors = dict(others or {})
        for path, (O, I, r, dtype) in layers.items():
            tensors[f"{PREFIX}{path}.lora_A.weight"] = rng.standard_normal((r, I)).astype(dtype)
            tensors[f"{PREFIX}{path}.lora_B.weight"] = rng.standard_normal((O, r)).astype(dtype)
        content = {"peft_type": "LORA", "r": 4, "lora_alpha": 7, "target_modules": ["q_proj"]}
        folder.mkdir()
        write_tensors(folder / WEIGHTS, tensors, metadata={"format": "pt"})
        (folder / CONFIG).write_text(json.dumps(content | settings))
        return folder

    return make


@pytest.fixture
def llama(foreign):
    layers = {LLAMA.format(i, k): (8, 6, 4, "f4") for i in range(2) for k in ("q_proj", "v_proj")}
    return foreign(layers, target_modules=["q_proj", "v_proj"])


@pytest.fixture
def adapted(tiny, stir, rng):
    config = LoraConfig(
        r=5,
        lora_alpha=7,
        modules_to_save=["classifier"],
        bias="lora_only",
        lora_bias=True,
        rank_pattern={"value": 3},
        alpha_pattern={r"layer\.1\..*": 2.5},
    )
    inject(tiny, config, rng=rng)
    stir(tiny)
    return tiny


def test_the_updates_of_a_model_are_what_its_layers_add(adapted, tmp_path):
    save_adapter(adapted, tmp_path)
    updates = read_updates(tmp_path).updates
    modules = dict(adapted.named_modules())
    assert sorted(u.path for u in updates) == sorted(adapted.adaptation.paths)
    for update in updates:
        layer = modules[update.path]
        change = layer.effective_weight() - layer.weight.data
        np.testing.assert_allclose(update.matrix(), change, atol=1e-14)


def test_what_is_read_and_written_is_the_same_adapter(adapted, make_tiny, batch, tmp_path):
    save_adapter(adapted, tmp_path / "one")
    write_updates(tmp_path / "two", read_updates(tmp_path / "one"))
    first, second = (read_tensors(tmp_path / name / WEIGHTS) for name in ("one", "two"))
    assert first.keys() == second.keys()
    for name, array in first.items():
        np.testing.assert_array_equal(second[name], array)
    assert (tmp_path / "one" / CONFIG).read_bytes() == (tmp_path / "two" / CONFIG).read_bytes()
    assert read_adapter_info(tmp_path / "one") == read_adapter_info(tmp_path / "two")
    twin = make_tiny()
    load_adapter(twin, tmp_path / "two")
    np.testing.assert_array_equal(twin(batch).data, adapted(batch).data)


@pytest.mark.parametrize("rslora", [False, True])
def test_ranks_that_differ_are_written_as_patterns_and_scales_stay(llama, rslora, tmp_path):
    saved = read_updates(llama)
    content = json.loads((llama / CONFIG).read_text()) | {"use_rslora": rslora}
    (llama / CONFIG).write_text(json.dumps(content))
    saved = read_updates(llama)
    cut = [u.truncate(k) for u, k in zip(saved.updates, (1, 2, 4, 2), strict=True)]
    write_updates(tmp_path / "cut", saved.with_updates(cut))
    again = read_updates(tmp_path / "cut")
    assert [u.rank for u in again.updates] == [1, 2, 4, 2]
    assert again.config.r == 2
    assert len(again.config.rank_pattern) == 2
    for before, after in zip(saved.updates, again.updates, strict=True):
        assert after.scale == pytest.approx(before.scale, rel=1e-15)


def test_layers_of_one_rank_need_no_patterns(llama):
    saved = read_updates(llama)
    cut = saved.with_updates(u.truncate(2) for u in saved.updates)
    assert cut.config.rank_pattern == {}
    assert cut.config.alpha_pattern == {}
    assert (cut.config.r, cut.config.lora_alpha) == (2, 3.5)
    assert cut.content["lora_alpha"] == 3.5


def test_an_alpha_is_not_spoilt_by_rounding(foreign):
    saved = read_updates(foreign({"a.q_proj": (30, 30, 25, "f4")}, r=25, lora_alpha=7))
    assert 7 / 25 * 25 != 7
    assert saved.with_updates(saved.updates).config.lora_alpha == 7


def test_a_pattern_never_matches_the_end_of_another_path():
    sizes = {"q": 1, "a.q": 2, "b.a.q": 3, "c.1.q": 4, "c.11q": 4, "d": 4}
    updates = [LowRankUpdate(p, np.ones((5, r)), np.ones((r, 5)), 1.0) for p, r in sizes.items()]
    config = new_updates(updates).config
    assert {path: config.rank_of(path) for path in sizes} == sizes
    assert {path: config.scaling_of(path) for path in sizes} == dict.fromkeys(sizes, 1.0)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_factors_keep_their_dtype(foreign, tmp_path, dtype):
    saved = read_updates(foreign({"a.q_proj": (8, 6, 4, dtype)}))
    write_updates(tmp_path / "cut", saved.with_updates(u.truncate(1) for u in saved.updates))
    assert read_updates(tmp_path / "cut").updates[0].A.dtype == dtype


def test_bfloat16_is_read_as_float32(tmp_path):
    values = np.array([[1.0, -2.5], [0.15625, 3.0]], "f4")  # exact in bfloat16
    bits = {f"{PREFIX}q.lora_{x}.weight": values.view("u4") >> 16 for x in "AB"}
    write_tensors(tmp_path / WEIGHTS, {name: b.astype("u2") for name, b in bits.items()})
    raw = (tmp_path / WEIGHTS).read_bytes()
    end = 8 + int.from_bytes(raw[:8], "little")
    header = raw[8:end].replace(b'"U16"', b'"BF16"')  # NumPy has no bfloat16 to write
    (tmp_path / WEIGHTS).write_bytes(len(header).to_bytes(8, "little") + header + raw[end:])
    (tmp_path / CONFIG).write_text(json.dumps({"peft_type": "LORA", "r": 2, "lora_alpha": 2}))
    (update,) = read_updates(tmp_path).updates
    assert update.A.dtype == np.float32
    np.testing.assert_array_equal(update.A, values)


def test_an_embedding_is_an_update_of_the_transposed_weight(tmp_path, rng):
    A, B = rng.standard_normal((4, 20)), rng.standard_normal((6, 4))  # (r, V), (D, r)
    names = [f"{PREFIX}model.embed_tokens.lora_embedding_{x}" for x in "AB"]
    (tmp_path / "a").mkdir()
    write_tensors(tmp_path / "a" / WEIGHTS, dict(zip(names, (A, B), strict=True)))
    content = {"peft_type": "LORA", "r": 4, "lora_alpha": 4, "target_modules": ["embed_tokens"]}
    (tmp_path / "a" / CONFIG).write_text(json.dumps(content))
    saved = read_updates(tmp_path / "a")
    (update,) = saved.updates
    assert update.transposed
    np.testing.assert_allclose(update.matrix(), B @ A)
    write_updates(tmp_path / "b", saved.with_updates([update.truncate(2)]))
    shapes = {n: a.shape for n, a in read_tensors(tmp_path / "b" / WEIGHTS).items()}
    assert shapes == {names[0]: (2, 20), names[1]: (6, 2)}


def test_a_convolution_is_unrolled_and_rolled_up_again(tmp_path, rng):
    A, B = rng.standard_normal((4, 3, 2, 2)), rng.standard_normal((6, 4, 1, 1))
    names = [f"{PREFIX}conv.lora_{x}.weight" for x in "AB"]
    (tmp_path / "a").mkdir()
    write_tensors(tmp_path / "a" / WEIGHTS, dict(zip(names, (A, B), strict=True)))
    content = {"peft_type": "LORA", "r": 4, "lora_alpha": 4, "target_modules": ["conv"]}
    (tmp_path / "a" / CONFIG).write_text(json.dumps(content))
    saved = read_updates(tmp_path / "a")
    assert saved.updates[0].shape == (6, 12)
    write_updates(tmp_path / "b", saved.with_updates(u.truncate(2) for u in saved.updates))
    shapes = {n: a.shape for n, a in read_tensors(tmp_path / "b" / WEIGHTS).items()}
    assert shapes == {names[0]: (2, 3, 2, 2), names[1]: (6, 2, 1, 1)}


def test_dora_keeps_its_magnitudes_and_is_noted(foreign, tmp_path):
    magnitude = {f"{PREFIX}a.q_proj.lora_magnitude_vector": np.ones(8)}
    folder = foreign({"a.q_proj": (8, 6, 4, "f4")}, others=magnitude, use_dora=True)
    saved = read_updates(folder)
    assert "DoRA" in saved.notes[0]
    write_updates(tmp_path / "again", saved)
    again = read_tensors(tmp_path / "again" / WEIGHTS)
    assert f"{PREFIX}a.q_proj.lora_magnitude_vector" in again
    assert json.loads((tmp_path / "again" / CONFIG).read_text())["use_dora"] is True


def test_conv1d_is_told_by_the_config(foreign):
    folder = foreign({"h.0.c_attn": (8, 6, 4, "f4")}, fan_in_fan_out=True)
    assert read_updates(folder).updates[0].transposed


def test_modules_trained_whole_are_noted(adapted, tmp_path):
    save_adapter(adapted, tmp_path)
    assert any("classifier" in note for note in read_updates(tmp_path).notes)


def test_unknown_settings_of_the_config_stay(foreign, tmp_path):
    saved = read_updates(foreign({"a.q_proj": (8, 6, 4, "f4")}, tomorrow="x"))
    write_updates(tmp_path / "again", saved.with_updates(u.truncate(1) for u in saved.updates))
    assert json.loads((tmp_path / "again" / CONFIG).read_text())["tomorrow"] == "x"


def test_new_updates_load_into_the_model_they_name(tiny, make_tiny, batch, tmp_path, rng):
    path = "bert.encoder.layer.1.output.dense"
    update = LowRankUpdate(path, rng.standard_normal((8, 2)), rng.standard_normal((2, 12)), 1.0)
    head = {"classifier.weight": np.ones((3, 8)), "classifier.bias": np.ones(3)}
    adapter = new_updates(
        [update],
        others=head,
        modules_to_save=["classifier"],
        task_type="TOKEN_CLS",
        label_names=("O", "B-PER", "I-PER"),
    )
    write_updates(tmp_path, adapter)
    load_adapter(tiny, tmp_path)
    by_hand = make_tiny()
    parameters = dict(by_hand.named_parameters())
    parameters[f"{path}.weight"].data += update.matrix()
    for name, array in head.items():
        parameters[name].data = array
    np.testing.assert_allclose(tiny(batch).data, by_hand(batch).data, atol=1e-12)


def test_new_updates_say_their_labels_base_and_task(tmp_path):
    update = LowRankUpdate("q", np.ones((3, 2)), np.ones((2, 4)), 1.0)
    said = {"base_model_name_or_path": "some/base", "task_type": "SEQ_CLS"}
    write_updates(tmp_path, new_updates([update], label_names=["a", "b"], **said))
    info = read_adapter_info(tmp_path)
    assert info.label_names == ("a", "b")
    assert (info.base_model_name_or_path, info.task_type) == ("some/base", "SEQ_CLS")
    assert (info.config.r, info.config.lora_alpha) == (2, 2)


def test_no_updates_make_no_adapter():
    with pytest.raises(ConfigError, match="at least one"):
        new_updates([])


def test_an_adapter_that_is_there_is_not_overwritten(llama):
    with pytest.raises(OutputError, match="already holds an adapter"):
        write_updates(llama, read_updates(llama))


def edited(folder, change):
    tensors = {name: array.copy() for name, array in read_tensors(folder / WEIGHTS).items()}
    change(tensors)
    write_tensors(folder / WEIGHTS, tensors)


A_NAME = f"{PREFIX}{LLAMA.format(0, 'q_proj')}.lora_A.weight"
B_NAME = A_NAME.replace("lora_A", "lora_B")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda t: t.pop(A_NAME), "layers.0.self_attn.q_proj: lora_A is missing"),
        (lambda t: t.pop(B_NAME), "lora_B is missing"),
        (lambda t: t.update({A_NAME: np.ones((3, 6))}), r"lora_A \(3, 6\) and lora_B \(8, 4\) do"),
        (lambda t: t.update({A_NAME: np.ones((2, 6)), B_NAME: np.ones((8, 2))}), "A has 2 rows"),
        (lambda t: t.update({A_NAME: np.full((4, 6), np.nan)}), "NaN or infinite"),
        (lambda t: t.update({A_NAME: np.ones((4, 6), int)}), "floating point was expected"),
        (lambda t: t.update({A_NAME: np.ones(4)}), "do not chain"),
        (lambda t: t.clear(), "no factors lora_A and lora_B at all"),
    ],
)
def test_factors_that_are_none_are_named(llama, change, says):
    edited(llama, change)
    with pytest.raises(CheckpointError, match=says) as caught:
        read_updates(llama)
    assert str(llama) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_misfit_is_listed_at_once(llama):
    edited(llama, lambda t: (t.pop(A_NAME), t.pop(B_NAME.replace("layers.0", "layers.1"))))
    with pytest.raises(CheckpointError, match=r"lora_A is missing; .*lora_B is missing"):
        read_updates(llama)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"peft_type": "LOHA"}, "expected 'LORA'"),
        ({"init_lora_weights": "pissa"}, "changed the base weights"),
        ({"target_parameters": ["w"]}, "variant of LoRA"),
    ],
)
def test_other_methods_are_refused(foreign, settings, says):
    with pytest.raises(CheckpointError, match=says):
        read_updates(foreign({"a.q_proj": (8, 6, 4, "f4")}, **settings))


def test_a_pickled_adapter_is_refused_with_the_way_out(llama):
    (llama / WEIGHTS).rename(llama / "adapter_model.bin")
    with pytest.raises(CheckpointError, match="is a pickle"):
        read_updates(llama)
