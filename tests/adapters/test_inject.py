import numpy as np
import pytest

from minilora.adapters import AdaptedLinear, LoraConfig, LoRALinear, eject, inject, merge
from minilora.autograd import saved_bytes
from minilora.errors import TargetError
from minilora.nn import BertConfig, BertForTokenClassification, Linear
from minilora.text import Batch

SAVING = LoraConfig(r=5, lora_alpha=7, modules_to_save=["classifier"])
HEAD = {"classifier.weight", "classifier.bias"}


def trained(model):
    return {name for name, p in model.named_parameters() if p.requires_grad}


def adapters(model):
    return {name for name in trained(model) if "lora_" in name}


def test_it_returns_the_adapted_paths_and_notes_what_it_did(toy64, rng):
    paths = inject(toy64, SAVING, rng=rng)
    assert paths[:2] == ["encoder.layer.0.query", "encoder.layer.0.value"]
    assert all(isinstance(m, LoRALinear) for p, m in toy64.named_modules() if p in paths)
    assert toy64.adaptation.config is SAVING
    assert toy64.adaptation.paths == tuple(paths)
    assert toy64.adaptation.saved_modules == ("classifier",)
    assert toy64.adaptation.originals.keys() == HEAD


def test_a_model_starts_without(toy64):
    assert toy64.adaptation is None


def test_modules_to_save_are_trained_whole(toy64, rng):
    inject(toy64, SAVING, rng=rng)
    assert trained(toy64) - adapters(toy64) == HEAD


def test_no_bias_is_trained_by_default(toy64, rng):
    inject(toy64, LoraConfig(), rng=rng)
    assert trained(toy64) == adapters(toy64)


def test_lora_only_trains_the_biases_of_adapted_layers(toy64, rng):
    paths = inject(toy64, LoraConfig(bias="lora_only"), rng=rng)
    assert trained(toy64) - adapters(toy64) == {f"{path}.bias" for path in paths}


def test_all_trains_every_bias_layer_norms_included(toy64, rng):
    inject(toy64, LoraConfig(bias="all"), rng=rng)
    biases = {name for name, _ in toy64.named_parameters() if name.endswith(".bias")}
    assert trained(toy64) - adapters(toy64) == biases
    assert "encoder.layer.0.LayerNorm.bias" in biases


def test_parts_of_a_rank_pattern_get_their_rank(toy64, rng):
    inject(toy64, LoraConfig(r=5, rank_pattern={"value": 3}), rng=rng)
    assert toy64.encoder.layer[0].query.lora_A.shape[0] == 5
    assert toy64.encoder.layer[1].value.lora_A.shape[0] == 3


@pytest.mark.parametrize("bias", ["none", "all", "lora_only"])
def test_eject_restores_every_bit_and_what_was_trained(toy64, stir, rng, bias):
    toy64.classifier.weight.requires_grad_(False)
    before, trained_before = {k: v.copy() for k, v in toy64.state_dict().items()}, trained(toy64)
    config = LoraConfig(modules_to_save=["classifier", "LayerNorm"], bias=bias, lora_bias=True)
    inject(toy64, config, rng=rng)
    stir(toy64)
    changed = {k for k, v in toy64.state_dict().items() if k in before and (v != before[k]).any()}
    assert changed >= HEAD
    eject(toy64)
    after = toy64.state_dict()
    assert list(before) == list(after)
    assert all(np.array_equal(before[name], after[name]) for name in before)
    assert trained(toy64) == trained_before
    assert toy64.adaptation is None


def test_eject_keeps_the_very_parameters(toy64, rng):
    weight = toy64.encoder.layer[0].query.weight
    inject(toy64, LoraConfig(), rng=rng)
    eject(toy64)
    assert toy64.encoder.layer[0].query.weight is weight


def test_merge_bakes_everything_in(toy64, stir, x, rng):
    config = LoraConfig(
        r=5, lora_alpha=7, bias="all", lora_bias=True, modules_to_save=["classifier"]
    )
    inject(toy64, config, rng=rng)
    stir(toy64)
    before = toy64(x).data
    merge(toy64)
    np.testing.assert_allclose(toy64(x).data, before, rtol=1e-5, atol=1e-6)
    assert not any(isinstance(m, AdaptedLinear) for _, m in toy64.named_modules())
    assert type(toy64.encoder.layer[0].query) is Linear
    assert toy64.adaptation is None
    assert trained(toy64) == set(toy64.state_dict())


def test_a_merged_model_can_be_adapted_again(toy64, rng):
    inject(toy64, LoraConfig(), rng=rng)
    merge(toy64)
    assert inject(toy64, LoraConfig(target_modules=["output"]), rng=rng)


def test_a_second_injection_is_refused(toy64, rng):
    inject(toy64, LoraConfig(), rng=rng)
    with pytest.raises(TargetError, match="already carries adapters, on 4 layers"):
        inject(toy64, LoraConfig(target_modules=["output"]), rng=rng)


@pytest.mark.parametrize("undo", [merge, eject])
def test_there_is_nothing_to_undo_without_adapters(toy64, undo):
    with pytest.raises(TargetError, match=f"{undo.__name__}: the model carries no adapters"):
        undo(toy64)


def test_a_refused_injection_leaves_the_model_as_it_was(toy64, rng):
    with pytest.raises(TargetError):
        inject(toy64, LoraConfig(target_modules=["query", "valeu"]), rng=rng)
    assert toy64.adaptation is None
    assert trained(toy64) == set(toy64.state_dict())


def test_an_adapter_that_fails_leaves_the_model_as_it_was(toy64, rng):
    class Fails(LoRALinear):
        def reset(self, config, *, path, rng):
            raise ValueError("no start")

    before = dict(toy64.named_parameters())
    with pytest.raises(ValueError, match="no start"):
        inject(toy64, LoraConfig(), rng=rng, adapter=Fails)
    assert toy64.adaptation is None
    assert trained(toy64) == set(toy64.state_dict())
    assert dict(toy64.named_parameters()) == before
    inject(toy64, LoraConfig(), rng=rng)


def test_peft_style_injection_overlooks_names_that_match_nothing(toy64, rng):
    config = LoraConfig(target_modules=["query", "q_proj"])
    assert len(inject(toy64, config, rng=rng, strict=False)) == 2


def test_the_class_of_adapter_can_be_your_own(toy64, rng):
    class Mine(LoRALinear):
        pass

    inject(toy64, LoraConfig(), rng=rng, adapter=Mine)
    assert type(toy64.encoder.layer[1].value) is Mine


def test_nothing_is_kept_below_the_lowest_adapter(rng):
    """However many layers lie below it: they have no part in the way back."""

    def kept(n_layers):
        config = BertConfig(
            vocab_size=10, hidden_size=8, num_hidden_layers=n_layers, num_attention_heads=2,
            intermediate_size=12, max_position_embeddings=16,
        )  # fmt: skip
        model = BertForTokenClassification(config, labels=["O", "B-X"], rng=rng)
        inject(model, LoraConfig(layers_to_transform=[n_layers - 1]), rng=rng)
        ids = np.arange(9)
        batch = Batch(ids, ids, np.zeros_like(ids), np.array([0, 9]), np.zeros_like(ids))
        everything = [p for _, p in model.named_parameters()]
        return saved_bytes(model.loss(batch), parameters=everything)

    assert kept(4) == kept(1)
    assert kept(1)["linear"] > 0
