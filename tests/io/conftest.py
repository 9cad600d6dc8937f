"""A BERT of a few thousand parameters, with and without a folder it was read from."""

import json

import numpy as np
import pytest

from minilora.adapters import LoraConfig, inject
from minilora.io import save_adapter, save_pretrained
from minilora.nn import BertConfig, BertForTokenClassification, BertModel
from minilora.storage import read_metadata, read_tensors, write_tensors
from minilora.text import Batch

LABELS = ("O", "B-PER", "I-PER")
SIZES = {
    "vocab_size": 30,
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 12,
    "max_position_embeddings": 16,
}


def tiny_bert(kind=BertForTokenClassification, seed=1, dtype=np.float64, **settings):
    config = BertConfig(**(SIZES | settings))
    rng = np.random.default_rng(seed)
    labels = {"labels": LABELS} if hasattr(kind, "labels_are_per") else {}
    return kind(config, rng=rng, dtype=dtype, **labels)


@pytest.fixture
def make_tiny():
    return tiny_bert


@pytest.fixture
def tiny():
    return tiny_bert()


@pytest.fixture
def stir(rng):
    """Move every trained parameter away from its start."""

    def move(model):
        for _, p in model.named_parameters():
            if p.requires_grad:
                p.data += (0.3 * rng.standard_normal(p.shape)).astype(p.dtype)

    return move


@pytest.fixture
def batch(rng):
    """Three sequences of 5, 3 and 7 tokens."""
    lengths = [5, 3, 7]
    return Batch(
        input_ids=rng.integers(0, 30, 15),
        position_ids=np.concatenate([np.arange(n) for n in lengths]),
        token_type_ids=np.zeros(15, np.int64),
        offsets=np.cumsum([0, *lengths]),
    )


@pytest.fixture
def tiny_dir(tmp_path):
    """The folder of a tiny encoder, with a vocabulary."""
    folder = tmp_path / "base"
    folder.mkdir()
    (folder / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n")
    save_pretrained(tiny_bert(BertModel), folder, tokenizer_from=folder)
    return folder


@pytest.fixture
def adapted(tiny, stir, rng):
    """LoRA on query and value, the classifier trained whole, away from the start."""
    inject(tiny, LoraConfig(r=5, lora_alpha=7, modules_to_save=["classifier"]), rng=rng)
    stir(tiny)
    return tiny


@pytest.fixture
def saved(adapted, tmp_path):
    """The folder of `adapted`."""
    save_adapter(adapted, tmp_path / "adapter")
    return tmp_path / "adapter"


@pytest.fixture
def edit_tensors():
    """edit_tensors(folder, change): rewrite an adapter's tensors, its metadata kept."""

    def edit(folder, change):
        path = folder / "adapter_model.safetensors"
        tensors = {name: array.copy() for name, array in read_tensors(path).items()}
        write_tensors(path, change(tensors) or tensors, metadata=read_metadata(path))

    return edit


@pytest.fixture
def edit_config():
    """edit_config(folder, r=3): change entries of an adapter's config; "(absent)" removes one."""

    def edit(folder, **changes):
        path = folder / "adapter_config.json"
        content = json.loads(path.read_text()) | changes
        path.write_text(json.dumps({k: v for k, v in content.items() if v != "(absent)"}))

    return edit
