import json
import os

import numpy as np
import pytest

from minilora.adapters import LoraConfig, eject, inject
from minilora.errors import CheckpointError, OutputError, TargetError
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
)
from minilora.storage import read_metadata, read_tensors, write_tensors

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


@pytest.fixture
def adapted(tiny, stir, rng):
    inject(tiny, CONFIG, rng=rng)
    stir(tiny)
    return tiny


@pytest.fixture
def saved(adapted, tmp_path):
    save_adapter(adapted, tmp_path / "adapter")
    return tmp_path / "adapter"


def tensors_of(folder):
    return read_tensors(folder / "adapter_model.safetensors")


def edit_tensors(folder, change):
    """Rewrite the adapter's tensors, its metadata kept."""
    path = folder / "adapter_model.safetensors"
    tensors, metadata = {k: v.copy() for k, v in read_tensors(path).items()}, read_metadata(path)
    write_tensors(path, change(tensors) or tensors, metadata=metadata)


def edit_config(folder, **changes):
    path = folder / "adapter_config.json"
    content = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({k: v for k, v in content.items() if v != "(absent)"}))


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


def test_a_card_says_what_the_adapter_is_and_a_card_there_is_kept(adapted, tmp_path):
    save_adapter(adapted, tmp_path, base_model_name_or_path="org/model")
    card = (tmp_path / "README.md").read_text()
    assert "base model: org/model, BertForTokenClassification" in card
    assert "4 layers (query, value)" in card
    assert "labels: O, B-PER, I-PER" in card
    (tmp_path / "README.md").write_text("mine")
    save_adapter(adapted, tmp_path)
    assert (tmp_path / "README.md").read_text() == "mine"


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
    make_tiny, saved, change, message
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


def test_all_that_does_not_fit_is_in_one_error(make_tiny, saved):
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
    inject(wide, CONFIG, rng=rng)
    save_adapter(wide, tmp_path, base_model_name_or_path="org/wide")
    with pytest.raises(CheckpointError, match=r"model\? It names 'org/wide'") as caught:
        load_adapter(make_tiny(), tmp_path)
    assert "lora_A.weight is (5, 16) in the file, (5, 8) here" in str(caught.value)


def test_an_adapter_for_another_architecture_says_so(make_tiny, saved):
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


def test_labels_in_another_order_are_refused(make_tiny, saved):
    model = make_tiny()
    model.label_names = ("O", "I-PER", "B-PER")
    with pytest.raises(CheckpointError, match="labels are O, B-PER, I-PER, the model's are O, I"):
        load_adapter(model, saved)


def test_damaged_label_names_are_refused(saved):
    path = saved / "adapter_model.safetensors"
    write_tensors(path, tensors_of(saved), metadata={"minilora_labels": "[1"})
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
def test_other_spellings_of_names_are_understood(make_tiny, adapted, saved, batch, rename):
    edit_tensors(saved, lambda tensors: {rename(name): a for name, a in tensors.items()})
    model = make_tiny()
    load_adapter(model, saved)
    assert np.array_equal(model(batch).data, adapted(batch).data)


def test_copies_of_a_saved_bias_that_peft_writes_are_passed_over(make_tiny, tmp_path, rng):
    model = make_tiny()
    inject(model, LoraConfig(bias="all", modules_to_save=["classifier"]), rng=rng)
    save_adapter(model, tmp_path)
    for copy in ("original_module", "modules_to_save"):
        edit_tensors(tmp_path, put(f"classifier.{copy}.bias", np.full(3, 9.0)))
    twin = make_tiny()
    load_adapter(twin, tmp_path)
    assert np.array_equal(twin.classifier.bias.data, model.classifier.bias.data)


def test_the_second_name_of_a_shared_bias_is_passed_over(make_tiny, tmp_path, rng):
    model = make_tiny(BertForMaskedLM)
    inject(model, LoraConfig(bias="all"), rng=rng)
    save_adapter(model, tmp_path)
    edit_tensors(tmp_path, put("cls.predictions.decoder.bias", np.full(30, 9.0)))
    load_adapter(make_tiny(BertForMaskedLM), tmp_path)


def test_two_adapters_in_one_file_are_refused(make_tiny, saved):
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
]


@pytest.mark.parametrize(("changes", "message"), WRONG_CONFIGS)
def test_a_config_that_is_no_plain_lora_is_refused_by_name(make_tiny, saved, changes, message):
    edit_config(saved, **changes)
    with pytest.raises(CheckpointError) as caught:
        load_adapter(make_tiny(), saved)
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{saved / 'adapter_config.json'}: ")


def test_unknown_keys_are_passed_over(make_tiny, saved):
    edit_config(saved, a_setting_of_2031={"x": 1})
    load_adapter(make_tiny(), saved)


@pytest.mark.parametrize("start", ["eva", "orthogonal", "mica"])
def test_starts_that_leave_the_base_alone_are_read(make_tiny, saved, start):
    edit_config(saved, init_lora_weights=start)
    assert load_adapter(make_tiny(), saved).init_lora_weights is True


def test_empty_settings_mean_none(make_tiny, saved):
    edit_config(saved, exclude_modules=[], layers_to_transform=[], layers_pattern=[])
    edit_config(saved, rank_pattern=None, alpha_pattern=None)
    config = load_adapter(make_tiny(), saved)
    assert (config.exclude_modules, config.layers_pattern, config.rank_pattern) == (None, None, {})


def test_targets_that_the_model_lacks_are_passed_over_if_every_tensor_fits(make_tiny, saved):
    edit_config(saved, target_modules=["query", "value", "q_proj"])
    load_adapter(make_tiny(), saved)


@pytest.mark.parametrize(("name", "taken"), [("lora_alpha", "8"), ("r", "8")])
def test_a_missing_rank_or_alpha_is_warned_about(saved, name, taken):
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
