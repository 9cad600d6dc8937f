"""Updates read, cut, extracted and written here are what PEFT makes of the same files.

Models are tiny and random, and no BERTs: LLaMA's names, GPT-2's transposed Conv1D, embeddings.
"""

import os
from types import SimpleNamespace

import numpy as np
import pytest

from minilora.analysis import RankRule, extract, mitigate_intruders, resize
from minilora.io import new_updates, read_updates, write_updates
from minilora.linalg import svd
from minilora.storage import open_checkpoint

pytestmark = [
    pytest.mark.oracle,
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore:fan_in_fan_out is set"),
    pytest.mark.filterwarnings("ignore:Adapter 'default'"),
    pytest.mark.filterwarnings("ignore:`lora_bias=True` was passed"),
    pytest.mark.filterwarnings("ignore:Setting `save_embedding_layers`"),
    pytest.mark.filterwarnings("ignore:Converting a PEFT adapter to LoRA"),
]

R, ALPHA = 5, 7
SETTINGS = {
    "llama": {"target_modules": ["q_proj", "v_proj", "down_proj"]},
    "rslora": {"target_modules": ["q_proj", "down_proj"], "use_rslora": True},
    "patterns": {
        "target_modules": ["q_proj", "down_proj"],
        "rank_pattern": {"down_proj": 3},
        "alpha_pattern": {r"layers\.1\..*": 2.5},
    },
    "embedding": {"target_modules": ["embed_tokens", "q_proj"]},
    "dora": {"target_modules": ["q_proj"], "use_dora": True},
    "lora bias": {"target_modules": ["q_proj"], "lora_bias": True},
    "gpt2": {"target_modules": ["c_attn", "c_proj"], "fan_in_fan_out": True},
}


@pytest.fixture(scope="module")
def hf():
    """Torch, transformers and peft, told to look nothing up on the network."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    import peft
    import torch
    import transformers

    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    return SimpleNamespace(torch=torch, transformers=transformers, peft=peft)


@pytest.fixture
def make_base(hf):
    def make(kind="llama", seed=0):
        hf.torch.manual_seed(seed)
        sizes = {"vocab_size": 30, "max_position_embeddings": 16}
        if kind == "gpt2":
            config = hf.transformers.GPT2Config(n_embd=8, n_layer=2, n_head=2, **sizes)
            model = hf.transformers.GPT2LMHeadModel(config)
        else:
            config = hf.transformers.LlamaConfig(
                hidden_size=8,
                intermediate_size=12,
                num_hidden_layers=2,
                num_attention_heads=2,
                initializer_range=0.5,
                **sizes,
            )
            model = hf.transformers.LlamaForCausalLM(config)
        return model.double().eval()

    return make


@pytest.fixture
def ids(hf):
    return hf.torch.arange(12).reshape(2, 6)


@pytest.fixture
def make_adapted(hf, make_base):
    """make_adapted("rslora"): a model with an adapter none of whose factors is at its start."""

    def make(name):
        base = make_base("gpt2" if name == "gpt2" else "llama")
        config = hf.peft.LoraConfig(r=R, lora_alpha=ALPHA, **SETTINGS[name])
        model = hf.peft.get_peft_model(base, config).double().eval()
        with hf.torch.no_grad():
            for parameter_name, parameter in model.named_parameters():
                if "lora_" in parameter_name:
                    parameter += 0.3 * hf.torch.randn_like(parameter)
        return model

    return make


def lora_layers(hf, model):
    """Every adapted layer of a PEFT model, by the path that it has in the base."""
    prefix = "base_model.model."
    return {
        name.removeprefix(prefix): module
        for name, module in model.named_modules()
        if isinstance(module, hf.peft.tuners.lora.LoraLayer)
    }


def deltas(hf, model):
    """ΔW of each layer, as PEFT computes it, in the orientation of the base weight."""
    return {
        path: layer.get_delta_weight("default").detach().numpy()
        for path, layer in lora_layers(hf, model).items()
    }


def load(hf, base, folder):
    return hf.peft.PeftModel.from_pretrained(base, folder).double().eval()


def logits(hf, model, ids):
    with hf.torch.no_grad():
        return model(ids).logits.numpy()


@pytest.mark.parametrize("name", SETTINGS)
def test_an_update_is_pefts_delta_weight(hf, make_adapted, tmp_path, name):
    model = make_adapted(name)
    model.save_pretrained(tmp_path)
    expected = deltas(hf, model)
    updates = read_updates(tmp_path).updates
    assert {update.path for update in updates} == expected.keys()
    for update in updates:
        found = update.matrix().T if update.transposed else update.matrix()
        np.testing.assert_allclose(found, expected[update.path], atol=1e-12)


@pytest.mark.parametrize("name", SETTINGS)
def test_an_adapter_that_is_not_cut_gives_the_same_outputs(
    hf, make_adapted, make_base, ids, tmp_path, name
):
    model = make_adapted(name)
    model.save_pretrained(tmp_path / "whole")
    saved = read_updates(tmp_path / "whole")
    resized = resize(saved.updates, RankRule("rank", R))
    write_updates(tmp_path / "same", saved.with_updates(resized.updates))
    again = load(hf, make_base("gpt2" if name == "gpt2" else "llama"), tmp_path / "same")
    np.testing.assert_allclose(logits(hf, again, ids), logits(hf, model, ids), atol=1e-12)


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("weighting", ["left", "both"])
def test_peft_loads_what_was_cut_with_the_scales_it_had(
    hf, make_adapted, make_base, tmp_path, name, weighting
):
    model = make_adapted(name)
    model.save_pretrained(tmp_path / "whole")
    saved = read_updates(tmp_path / "whole")
    resized = resize(saved.updates, RankRule("error", 0.5), weighting=weighting)
    write_updates(tmp_path / "cut", saved.with_updates(resized.updates))
    cut = load(hf, make_base("gpt2" if name == "gpt2" else "llama"), tmp_path / "cut")
    before, after = lora_layers(hf, model), lora_layers(hf, cut)
    found, whole = deltas(hf, cut), deltas(hf, model)
    ranks = {layer.path: layer.rank for layer in resized.layers}
    assert min(ranks.values()) < R
    for path, rank in ranks.items():
        assert after[path].r["default"] == rank
        assert after[path].scaling["default"] == pytest.approx(before[path].scaling["default"])
        best = svd(whole[path], rank=rank).matrix()
        np.testing.assert_allclose(found[path], best, atol=1e-12)


@pytest.mark.parametrize("rank", [2, 0.5, 0.9])
def test_cutting_is_pefts_convert_to_lora(hf, make_adapted, tmp_path, rank):
    model = make_adapted("llama")
    model.save_pretrained(tmp_path)
    _, tensors = hf.peft.convert_to_lora(model, rank=rank)
    rule = RankRule("rank", rank) if isinstance(rank, int) else RankRule("energy", rank)
    for update in resize(read_updates(tmp_path).updates, rule, weighting="left").updates:
        prefix = f"base_model.model.{update.path}.lora_"
        A, B = (tensors[f"{prefix}{factor}.weight"].numpy() for factor in "AB")
        assert update.rank == len(A)
        # PEFT's factors have the scale inside, and its SVD runs in float32.
        np.testing.assert_allclose(update.matrix(), B @ A, atol=2e-6)
        np.testing.assert_allclose(np.abs(update.A), np.abs(A), atol=2e-5)
        np.testing.assert_allclose(np.abs(update.scale * update.B), np.abs(B), atol=2e-5)


@pytest.mark.parametrize("keep", [1.0, 0.75, 0.0])
def test_mitigation_is_pefts_reduce_intruder_dimension(hf, make_adapted, make_base, tmp_path, keep):
    model = make_adapted("llama")
    model.save_pretrained(tmp_path)
    base = make_base().state_dict()
    saved = read_updates(tmp_path).updates
    from peft.tuners.lora.intruders import reduce_intruder_dimension

    settings = {"top_k": 5, "threshold_epsilon": 0.7}
    reduce_intruder_dimension(model, mitigation_lambda=keep, logging_sink=None, **settings)
    changed = 0
    for update in saved:
        layer = lora_layers(hf, model)[update.path]
        expected = layer.get_delta_weight("intruder_reduced").detach().numpy()
        W = base[f"{update.path}.weight"].numpy()
        found = mitigate_intruders(W, update, keep=keep, top_k=5, threshold=0.7)
        np.testing.assert_allclose(found.matrix(), expected, atol=1e-10)
        changed += found is not update
    assert changed


def test_updates_of_half_precision_are_pefts(hf, make_adapted, tmp_path):
    model = make_adapted("llama").to(hf.torch.bfloat16)
    model.save_pretrained(tmp_path)
    expected = deltas(hf, model.double())
    for update in read_updates(tmp_path).updates:
        np.testing.assert_allclose(update.matrix(), expected[update.path], atol=1e-6)


@pytest.fixture
def tuned(hf, make_base, tmp_path):
    """Two folders: a base, and a model all of whose matrices differ from it."""
    base, model = make_base(), make_base()
    with hf.torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim == 2 and "lm_head" not in name:
                parameter += 0.2 * hf.torch.randn_like(parameter)
    base.save_pretrained(tmp_path / "base")
    model.save_pretrained(tmp_path / "tuned")
    return model


@pytest.mark.parametrize("weighting", ["both", "left", "right"])
def test_all_of_a_difference_loads_as_the_tuned_model(
    hf, tuned, make_base, ids, tmp_path, weighting
):
    kinds = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    found = extract(
        open_checkpoint(tmp_path / "base"),
        open_checkpoint(tmp_path / "tuned"),
        RankRule("energy", 1.0),
        targets=[*kinds, "embed_tokens"],
        weighting=weighting,
    )
    assert found.left_out == {}
    adapter = new_updates(found.updates, embeddings=found.embeddings, others=found.others)
    write_updates(tmp_path / "adapter", adapter)
    model = load(hf, make_base(), tmp_path / "adapter")
    np.testing.assert_allclose(logits(hf, model, ids), logits(hf, tuned, ids), atol=1e-10)


def test_extracted_ranks_differ_by_layer_and_load(hf, tuned, make_base, tmp_path):
    found = extract(
        open_checkpoint(tmp_path / "base"),
        open_checkpoint(tmp_path / "tuned"),
        RankRule("error", 0.5),
    )
    assert len({update.rank for update in found.updates}) > 1
    write_updates(tmp_path / "adapter", new_updates(found.updates))
    loaded = deltas(hf, load(hf, make_base(), tmp_path / "adapter"))
    for update in found.updates:
        np.testing.assert_allclose(loaded[update.path], update.matrix(), atol=1e-12)
