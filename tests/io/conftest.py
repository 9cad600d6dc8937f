"""A BERT of a few thousand parameters, with and without a folder it was read from."""

import numpy as np
import pytest

from minilora.io import save_pretrained
from minilora.nn import BertConfig, BertForTokenClassification, BertModel
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
