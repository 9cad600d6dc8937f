import json

import numpy as np
import pytest

from minilora.adapters import LoraConfig, eject, inject
from minilora.errors import OutputError, TargetError
from minilora.io import (
    AdapterWarning,
    base_fingerprint,
    load_adapter,
    read_adapter_config,
    read_adapter_info,
    save_adapter,
)
from minilora.nn import (
    BertForMaskedLM,
    BertForSequenceClassification,
    BertForTokenClassification,
    BertModel,
    Linear,
    Module,
)
from minilora.storage import read_metadata, read_tensors

CONFIG = LoraConfig(r=5, lora_alpha=7, modules_to_save=["classifier"])
PREFIX = "base_model.model."
QUERY = "bert.encoder.layer.0.attention.self.query"
KEYS_OF_PEFT = """
    alora_invocation_tokens alpha_pattern arrow_config auto_mapping base_model_name_or_path bias
    corda_config ensure_weight_tying eva_config exclude_modules fan_in_fan_out inference_mode
    init_lora_weights kasa_config layer_replication layers_pattern layers_to_transform loftq_config
    lora_alpha lora_bias lora_dropout lora_ga_config megatron_config megatron_core modules_to_save
    monteclora_config peft_type peft_version qalora_group_size r rank_pattern revision
    target_modules target_parameters task_type trainable_token_indices use_bdlora use_dora
    use_qalora use_rslora velora_config
"""


def tensors_of(folder):
    return read_tensors(folder / "adapter_model.safetensors")


SETTINGS = [
    {},
    {"use_rslora": True, "init_lora_weights": "gaussian", "lora_dropout": 0.1},
    {"lora_bias": True, "bias": "lora_only"},
    {"bias": "all", "modules_to_save": ["classifier", "LayerNorm"]},
    {"target_modules": "all-linear", "exclude_modules": ["key"], "modules_to_save": None},
    {"target_modules": r".*\.(query|output\.dense)"},
    {"target_modules": ["dense"], "layers_to_transform": [1], "layers_pattern": "layer"},
    {"rank_pattern": {"value": 3}, "alpha_pattern": {r"layer\.1\..*": 2.5}},
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("settings", SETTINGS)
def test_what_is_saved_loads_as_the_same_model(
    make_tiny, stir, batch, tmp_path, rng, settings, dtype
):
    model, twin = make_tiny(dtype=dtype), make_tiny(dtype=dtype)
    inject(model, LoraConfig(**({"r": 5, "lora_alpha": 7} | settings)), rng=rng)
    stir(model)
    save_adapter(model, tmp_path)
    assert not np.array_equal(model(batch).data, twin(batch).data)
    load_adapter(twin, tmp_path)
    assert np.array_equal(model(batch).data, twin(batch).data)
    assert [n for n, p in model.named_parameters() if p.requires_grad] == [
        n for n, p in twin.named_parameters() if p.requires_grad
    ]


def test_a_float32_adapter_loads_into_a_float64_model(make_tiny, stir, batch, tmp_path, rng):
    model, twin = make_tiny(dtype=np.float32), make_tiny()
    inject(model, CONFIG, rng=rng)
    stir(model)
    save_adapter(model, tmp_path)
    load_adapter(twin, tmp_path, check_base=False)  # this base was rounded, the other never was
    assert {p.dtype for _, p in twin.named_parameters()} == {np.dtype(np.float64)}
    np.testing.assert_allclose(twin(batch).data, model(batch).data, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("settings", [s for s in SETTINGS if "target_modules" in s or not s])
def test_the_config_comes_back(make_tiny, tmp_path, rng, settings):
    config = LoraConfig(**settings)
    model = make_tiny()
    paths = inject(model, config, rng=rng)
    save_adapter(model, tmp_path)
    again = read_adapter_config(tmp_path)
    if config.target_modules == "all-linear":
        assert again.target_modules == tuple(paths)
    elif config.target_modules is None:
        assert again.target_modules == ("query", "value")
    else:
        assert again == config


def test_the_same_adapter_gives_the_same_bytes(adapted, tmp_path):
    for name in ("first", "second"):
        save_adapter(adapted, tmp_path / name, base_model_name_or_path="base")
    files = sorted(path.name for path in (tmp_path / "first").iterdir())
    assert files == ["README.md", "adapter_config.json", "adapter_model.safetensors"]
    for name in files:
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()


def test_tensors_carry_the_names_peft_gives_them(saved):
    shapes = {name: array.shape for name, array in tensors_of(saved).items()}
    assert len(shapes) == 4 * 2 + 2
    assert shapes[f"{PREFIX}{QUERY}.lora_A.weight"] == (5, 8)
    assert shapes[f"{PREFIX}{QUERY}.lora_B.weight"] == (8, 5)
    assert shapes[f"{PREFIX}classifier.weight"] == (3, 8)
    assert read_metadata(saved / "adapter_model.safetensors")["format"] == "pt"


def test_trained_biases_carry_the_names_peft_gives_them(make_tiny, tmp_path, rng):
    model = make_tiny()
    inject(model, LoraConfig(bias="all", lora_bias=True), rng=rng)
    save_adapter(model, tmp_path)
    names = tensors_of(tmp_path).keys()
    assert f"{PREFIX}{QUERY}.base_layer.bias" in names
    assert f"{PREFIX}{QUERY}.lora_B.bias" in names
    assert f"{PREFIX}{QUERY.replace('query', 'key')}.bias" in names
    assert f"{PREFIX}bert.embeddings.LayerNorm.bias" in names
    assert f"{PREFIX}{QUERY}.bias" not in names


def test_the_config_has_exactly_the_keys_of_peft(saved):
    content = json.loads((saved / "adapter_config.json").read_text())
    assert list(content) == KEYS_OF_PEFT.split()
    assert content["peft_type"] == "LORA"
    assert content["inference_mode"] is True
    assert content["modules_to_save"] == ["classifier", "score"]
    assert content["task_type"] == "TOKEN_CLS"
    assert content["auto_mapping"] is None


@pytest.mark.parametrize(
    ("kind", "settings", "task"),
    [
        (BertForTokenClassification, {"modules_to_save": ["classifier"]}, "TOKEN_CLS"),
        (BertForSequenceClassification, {"modules_to_save": ["classifier"]}, "SEQ_CLS"),
        (BertForTokenClassification, {}, None),
        (BertModel, {}, "FEATURE_EXTRACTION"),
        (BertForMaskedLM, {}, None),
    ],
)
def test_the_task_is_said_where_peft_can_take_it(make_tiny, tmp_path, rng, kind, settings, task):
    model = make_tiny(kind)
    inject(model, LoraConfig(**settings), rng=rng)
    save_adapter(model, tmp_path)
    content = json.loads((tmp_path / "adapter_config.json").read_text())
    assert content["task_type"] == task
    mapped = content["auto_mapping"] and content["auto_mapping"]["base_model_class"]
    assert mapped == (None if task else kind.__name__)


class Plain(Module):
    """A model that transformers does not know."""

    def __init__(self, rng):
        self.query = Linear(rng.standard_normal((4, 3)), None)


def test_a_model_of_ones_own_is_saved_and_loaded_without_a_class_to_import(tmp_path, rng):
    model, twin = Plain(rng), Plain(rng)
    inject(model, LoraConfig(r=2, target_modules=["query"]), rng=rng)
    model.query.lora_B.data = rng.standard_normal((4, 2))
    save_adapter(model, tmp_path)
    content = json.loads((tmp_path / "adapter_config.json").read_text())
    assert (content["auto_mapping"], content["base_model_name_or_path"]) == (None, None)
    load_adapter(twin, tmp_path, check_base=False)
    np.testing.assert_array_equal(twin.query.lora_B.data, model.query.lora_B.data)


def test_the_folder_says_what_it_is(saved, adapted):
    info = read_adapter_info(saved)
    assert info.config.r == 5
    assert info.config.modules_to_save == ("classifier",)
    assert info.task_type == "TOKEN_CLS"
    assert info.label_names == ("O", "B-PER", "I-PER")
    assert info.base_sha256 == base_fingerprint(adapted)
    assert info.base_model_name_or_path is None


def test_the_base_is_named_after_its_folder(tiny_dir, tmp_path, rng):
    model = BertModel.from_pretrained(tiny_dir, rng=rng)
    inject(model, LoraConfig(), rng=rng)
    save_adapter(model, tmp_path / "adapter")
    assert read_adapter_info(tmp_path / "adapter").base_model_name_or_path == str(tiny_dir)
    save_adapter(model, tmp_path / "adapter", base_model_name_or_path="org/model")
    assert read_adapter_info(tmp_path / "adapter").base_model_name_or_path == "org/model"


def test_a_card_says_what_the_adapter_is(adapted, tmp_path):
    save_adapter(adapted, tmp_path, base_model_name_or_path="org/model")
    card = (tmp_path / "README.md").read_text()
    assert "base model: org/model, BertForTokenClassification" in card
    assert "4 layers (query, value)" in card
    assert "labels: O, B-PER, I-PER" in card


def test_a_card_of_another_adapter_is_replaced_and_what_a_user_wrote_stays(adapted, tmp_path):
    card = tmp_path / "README.md"
    save_adapter(adapted, tmp_path, base_model_name_or_path="one")
    save_adapter(adapted, tmp_path, base_model_name_or_path="another")
    assert "base model: another" in card.read_text()
    for mine in (b"mine", b"gr\xfc\xdfe", card.read_bytes() + b"\n## Results\n"):
        card.write_bytes(mine)
        save_adapter(adapted, tmp_path)
        assert card.read_bytes() == mine


def test_saving_needs_an_adapter(tiny, tmp_path):
    with pytest.raises(TargetError, match="save_adapter: the model carries no adapters"):
        save_adapter(tiny, tmp_path)


def test_saving_where_a_file_is_says_so(adapted, tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(OutputError, match="taken"):
        save_adapter(adapted, tmp_path / "taken")


def test_loading_twice_is_refused_and_keeps_the_first(adapted, saved, batch):
    before = adapted(batch).data
    with pytest.raises(TargetError, match="already carries adapters"):
        load_adapter(adapted, saved)
    assert np.array_equal(adapted(batch).data, before)


def test_the_fingerprint_is_the_same_in_both_precisions(tiny_dir, rng):
    prints = set()
    for dtype in (np.float32, np.float64):
        model = BertModel.from_pretrained(tiny_dir, rng=rng, dtype=dtype)
        inject(model, LoraConfig(), rng=rng)
        prints.add(base_fingerprint(model))
    assert len(prints) == 1


def test_the_fingerprint_is_that_of_the_base_whatever_is_trained(tiny, stir, rng):
    inject(tiny, LoraConfig(bias="all"), rng=rng)
    before = base_fingerprint(tiny)
    stir(tiny)
    assert base_fingerprint(tiny) == before
    eject(tiny)
    tiny.bert.encoder.layer[0].attention.self.query.weight.data[0, 0] += 1
    inject(tiny, LoraConfig(bias="all"), rng=rng)
    assert base_fingerprint(tiny) != before


def test_a_head_that_started_at_random_and_is_not_saved_is_warned_about(tiny_dir, tmp_path, rng):
    def fresh():
        return BertForTokenClassification.from_pretrained(tiny_dir, labels=["O", "X"], rng=rng)

    model = fresh()
    inject(model, LoraConfig(), rng=rng)
    with pytest.warns(AdapterWarning, match=r"save_adapter: classifier\.weight, classifier\.bias"):
        save_adapter(model, tmp_path / "adapter")
    with pytest.warns(AdapterWarning, match="load_adapter: .* name their modules in modules_to"):
        load_adapter(fresh(), tmp_path / "adapter")


def test_a_head_that_is_saved_is_not_warned_about(tiny_dir, tmp_path, rng):
    model = BertForTokenClassification.from_pretrained(tiny_dir, labels=["O", "X"], rng=rng)
    inject(model, CONFIG, rng=rng)
    save_adapter(model, tmp_path / "adapter")
