"""A BERT small enough to check every number of, and batches for it."""

import numpy as np
import pytest

from minilora.nn import (
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    BertForTokenClassification,
)
from minilora.text import Batch

LABELS = ["O", "B-X", "I-X"]


@pytest.fixture
def settings() -> dict:
    """What config.json would hold. All sizes differ; weights are large enough to matter."""
    return {
        "model_type": "bert",
        "vocab_size": 23,
        "hidden_size": 8,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 12,
        "max_position_embeddings": 10,
        "type_vocab_size": 2,
        "initializer_range": 0.4,
    }


@pytest.fixture
def config(settings) -> BertConfig:
    return BertConfig.from_json(settings)


@pytest.fixture
def make_batch(rng):
    """make_batch([3, 1, 5], per="token"): random tokens, with labels for that kind of model."""

    def make(lengths, per=None) -> Batch:
        T, N = sum(lengths), len(lengths)
        labels = {
            None: lambda: None,
            "token": lambda: np.where(rng.random(T) < 0.3, -100, rng.integers(0, len(LABELS), T)),
            "sequence": lambda: rng.integers(0, len(LABELS), N),
            "word": lambda: np.where(rng.random(T) < 0.7, -100, rng.integers(0, 23, T)),
        }[per]()
        if per in {"token", "word"}:
            labels[0] = 1  # never none at all
        return Batch(
            input_ids=rng.integers(0, 23, T),
            position_ids=np.concatenate([np.arange(n) for n in lengths]),
            token_type_ids=rng.integers(0, 2, T),
            offsets=np.concatenate([[0], np.cumsum(lengths)]),
            labels=labels,
        )

    return make


HEADS = {
    "token": lambda *args, **kw: BertForTokenClassification(*args, labels=LABELS, **kw),
    "sequence": lambda *args, **kw: BertForSequenceClassification(*args, labels=LABELS, **kw),
    "word": BertForMaskedLM,
}


@pytest.fixture(params=HEADS)
def per(request) -> str:
    """What a model has one label for; every test that asks for it runs on all three heads."""
    return request.param


@pytest.fixture
def make_model(config, rng, stir):
    """make_model("token", np.float64): a model with no parameter at a special value."""

    def make(per, dtype=np.float64):
        return stir(HEADS[per](config, rng=rng, dtype=dtype))

    return make


@pytest.fixture
def stir():
    """Biases off 0 and layer norms off 1, where mistakes could hide."""
    noise = np.random.default_rng(1)

    def move(model):
        for _, p in model.named_parameters():
            p.data = (p.data + 0.1 * noise.standard_normal(p.shape)).astype(p.dtype)
        return model

    return move
