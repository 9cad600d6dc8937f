"""Adapters that do not fit, are damaged, spelt in other ways, or no plain LoRA."""

import os

import numpy as np
import pytest

from minilora.adapters import LoraConfig, LoRALinear, inject
from minilora.errors import CheckpointError, TargetError
from minilora.io import (
    AdapterWarning,
    load_adapter,
    read_adapter_config,
    read_adapter_info,
    save_adapter,
)
from minilora.nn import BertForMaskedLM, Parameter
from minilora.storage import read_tensors, write_tensors

PREFIX = "base_model.model."
QUERY = "bert.encoder.layer.0.attention.self.query"


def drop(name):
    def change(tensors):
        del tensors[f"{PREFIX}{name}"]

    return change


def put(name, array):
    def change(tensors):
        tensors[f"{PREFIX}{name}"] = array

    return change


WRONG_TENSORS = [
    (drop(f"{QUERY}.lora_A.weight"), f"{QUERY}.lora_A.weight (5, 8) is missing"),
    (drop("classifier.bias"), "classifier.bias (3,) is missing"),
    (put(f"{QUERY}.lora_C.weight", np.ones(2)), f"{QUERY}.lora_C.weight (2,) is unexpected"),
    (put(f"{QUERY}.lora_A.weight", np.ones((4, 8))), "is (4, 8) in the file, (5, 8) here"),
    (put(f"{QUERY}.lora_A.weight", np.full((5, 8), np.nan)), "NaN or infinite"),
    (put(f"{QUERY}.lora_B.weight", np.full((8, 5), np.inf)), "NaN or infinite"),
    (put(f"{QUERY}.lora_A.weight", np.ones((5, 8), np.int64)), "holds int64"),
]


@pytest.mark.parametrize(("change", "message"), WRONG_TENSORS)
def test_a_tensor_that_does_not_fit_is_named_and_the_model_left_alone(
    edit_tensors, make_tiny, saved, change, message
):
    edit_tensors(saved, change)
    model = make_tiny()
    before = {name: value.copy() for name, value in model.state_dict().items()}
    with pytest.raises(CheckpointError) as caught:
        load_adapter(model, saved)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    after = model.state_dict()
    assert list(after) == list(before)
    assert all(np.array_equal(after[name], before[name]) for name in before)
    assert all(p.requires_grad for _, p in model.named_parameters())
    assert model.adaptation is None


def test_all_that_does_not_fit_is_in_one_error(edit_tensors, make_tiny, saved):
    def change(tensors):
        del tensors[f"{PREFIX}classifier.bias"]
        tensors[f"{PREFIX}extra"] = np.ones(2)
        tensors[f"{PREFIX}{QUERY}.lora_A.weight"] = np.ones((4, 8))

    edit_tensors(saved, change)
    with pytest.raises(
        CheckpointError, match=r"is missing; extra .* is unexpected; .* is \(4, 8\)"
    ):
        load_adapter(make_tiny(), saved)


def test_an_adapter_for_a_wider_base_says_so(make_tiny, stir, tmp_path, rng):
    wide = make_tiny(hidden_size=16)
    inject(wide, LoraConfig(r=5), rng=rng)
    save_adapter(wide, tmp_path, base_model_name_or_path="org/wide")
    with pytest.raises(CheckpointError, match=r"model\? It names 'org/wide'") as caught:
        load_adapter(make_tiny(), tmp_path)
    assert "lora_A.weight is (5, 16) in the file, (5, 8) here" in str(caught.value)


def test_an_adapter_for_another_architecture_says_so(edit_config, make_tiny, saved):
    edit_config(saved, target_modules=["q_proj", "v_proj"])
    with pytest.raises(CheckpointError, match=r"no layer to adapt.*another base model\?"):
        load_adapter(make_tiny(), saved)


def test_an_adapter_for_other_weights_of_the_same_shapes_is_refused(make_tiny, saved, batch):
    other = make_tiny(seed=2)
    with pytest.raises(CheckpointError, match="trained on other base weights of the same shapes"):
        load_adapter(other, saved)
    assert other.adaptation is None
    load_adapter(other, saved, check_base=False)
    assert other.adaptation is not None


def test_labels_in_another_order_are_refused(make_tiny, saved):
    model = make_tiny()
    model.label_names = ("O", "I-PER", "B-PER")
    with pytest.raises(CheckpointError, match="labels are O, B-PER, I-PER, the model's are O, I"):
        load_adapter(model, saved)


def test_damaged_label_names_are_refused(saved):
    path = saved / "adapter_model.safetensors"
    write_tensors(path, read_tensors(path), metadata={"minilora_labels": "[1"})
    with pytest.raises(CheckpointError, match="expected a JSON list of names"):
        read_adapter_info(saved)


@pytest.mark.parametrize(
    "rename",
    [
        lambda name: name.removeprefix(PREFIX),
        lambda name: name.replace("lora_A.", "lora_A.default.").replace("lora_B.", "lora_B.x."),
        lambda name: name.replace("classifier.", "classifier.modules_to_save.default."),
    ],
    ids=["no prefix", "adapter names", "saved modules"],
)
def test_other_spellings_of_names_are_understood(
    edit_tensors, make_tiny, adapted, saved, batch, rename
):
    edit_tensors(saved, lambda tensors: {rename(name): a for name, a in tensors.items()})
    model = make_tiny()
    load_adapter(model, saved)
    assert np.array_equal(model(batch).data, adapted(batch).data)


def test_copies_of_a_saved_bias_that_peft_writes_are_passed_over(
    edit_tensors, make_tiny, tmp_path, rng
):
    model = make_tiny()
    inject(model, LoraConfig(bias="all", modules_to_save=["classifier"]), rng=rng)
    save_adapter(model, tmp_path)
    for copy in ("original_module", "modules_to_save"):
        edit_tensors(tmp_path, put(f"classifier.{copy}.bias", np.full(3, 9.0)))
    twin = make_tiny()
    load_adapter(twin, tmp_path)
    assert np.array_equal(twin.classifier.bias.data, model.classifier.bias.data)


def test_the_second_name_of_a_shared_bias_is_passed_over(edit_tensors, make_tiny, tmp_path, rng):
    model = make_tiny(BertForMaskedLM)
    inject(model, LoraConfig(bias="all"), rng=rng)
    save_adapter(model, tmp_path)
    edit_tensors(tmp_path, put("cls.predictions.decoder.bias", np.full(30, 9.0)))
    load_adapter(make_tiny(BertForMaskedLM), tmp_path)


def test_two_adapters_in_one_file_are_refused(edit_tensors, make_tiny, saved):
    name = f"{QUERY}.lora_A.second.weight"
    edit_tensors(saved, put(name, np.ones((5, 8))))
    with pytest.raises(CheckpointError, match=r"holds .*lora_A\.weight' a second time"):
        load_adapter(make_tiny(), saved)


WRONG_CONFIGS = [
    ({"peft_type": "ADALORA"}, "peft_type is 'ADALORA'; expected 'LORA'"),
    ({"peft_type": "(absent)"}, "peft_type is None"),
    ({"use_dora": True}, "use_dora is True, a variant of LoRA"),
    ({"kasa_config": {"beta": 1}}, "kasa_config is"),
    ({"trainable_token_indices": [1]}, "trainable_token_indices is [1]"),
    ({"init_lora_weights": "pissa"}, "init_lora_weights is 'pissa', which changed the base"),
    ({"r": 0}, "r is 0; expected a whole number"),
    ({"lora_alpha": "16"}, "lora_alpha is '16'"),
    ({"bias": "some"}, "bias is 'some'"),
    ({"target_modules": "(query"}, "no regular expression"),
    ({"fan_in_fan_out": True}, "fan_in_fan_out is True"),
    ({"task_type": ["TOKEN_CLS"]}, "task_type is ['TOKEN_CLS']; expected a text or null"),
    ({"base_model_name_or_path": 3}, "base_model_name_or_path is 3; expected a text"),
]


@pytest.mark.parametrize(("changes", "message"), WRONG_CONFIGS)
def test_a_config_that_is_no_plain_lora_is_refused_by_name(
    edit_config, make_tiny, saved, changes, message
):
    edit_config(saved, **changes)
    with pytest.raises(CheckpointError) as caught:
        load_adapter(make_tiny(), saved)
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{saved / 'adapter_config.json'}: ")


def test_unknown_keys_are_passed_over(edit_config, make_tiny, saved):
    edit_config(saved, a_setting_of_2031={"x": 1})
    load_adapter(make_tiny(), saved)


@pytest.mark.parametrize("start", ["eva", "orthogonal", "mica", None])
def test_starts_that_leave_the_base_alone_are_read(edit_config, make_tiny, saved, start):
    edit_config(saved, init_lora_weights=start)
    assert load_adapter(make_tiny(), saved).init_lora_weights is True


def test_empty_settings_mean_none(edit_config, make_tiny, saved):
    edit_config(saved, exclude_modules=[], layers_to_transform=[], layers_pattern=[])
    edit_config(saved, rank_pattern=None, alpha_pattern=None)
    config = load_adapter(make_tiny(), saved)
    assert (config.exclude_modules, config.layers_pattern, config.rank_pattern) == (None, None, {})


def test_targets_that_the_model_lacks_are_passed_over_if_every_tensor_fits(
    edit_config, make_tiny, saved
):
    edit_config(saved, target_modules=["query", "value", "q_proj"])
    load_adapter(make_tiny(), saved)


@pytest.mark.parametrize(("name", "taken"), [("lora_alpha", "8"), ("r", "8")])
def test_a_missing_rank_or_alpha_is_warned_about(edit_config, saved, name, taken):
    edit_config(saved, **{name: "(absent)"})
    with pytest.warns(AdapterWarning, match=f"{name} is missing; {taken} is taken"):
        read_adapter_config(saved)


def test_a_folder_that_is_not_there_is_named(tiny, tmp_path):
    with pytest.raises(CheckpointError, match="nowhere: no such folder"):
        load_adapter(tiny, tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["adapter_config.json", "adapter_model.safetensors"])
@pytest.mark.parametrize(
    "damage", [os.remove, lambda path: path.write_bytes(path.read_bytes()[:40])]
)
def test_a_missing_or_truncated_file_is_named(make_tiny, saved, name, damage):
    damage(saved / name)
    with pytest.raises(CheckpointError, match=name):
        load_adapter(make_tiny(), saved)


def test_a_pickled_adapter_is_refused_with_the_way_out(make_tiny, saved):
    (saved / "adapter_model.safetensors").rename(saved / "adapter_model.bin")
    with pytest.raises(CheckpointError, match=r"adapter_model\.bin: is a pickle.*save_pretrained"):
        load_adapter(make_tiny(), saved)


def test_a_parameter_that_pefts_files_have_no_name_for_is_named(make_tiny, tmp_path, rng):
    class Gated(LoRALinear):
        def reset(self, config, *, path, rng):
            super().reset(config, path=path, rng=rng)
            self.gate = Parameter(np.ones(1))

    model = make_tiny()
    inject(model, LoraConfig(target_modules=["query"]), rng=rng, adapter=Gated)
    with pytest.raises(TargetError, match=f"the Gated at {QUERY} has gate, which PEFT's files"):
        save_adapter(model, tmp_path / "gated")
