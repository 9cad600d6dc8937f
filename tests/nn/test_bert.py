"""The encoder: its formula, its independence of packing, and what it refuses."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minilora.errors import DataError, ShapeError
from minilora.nn import BertConfig, BertModel, training
from minilora.ops import gelu, layer_norm, softmax
from minilora.text import Batch


@pytest.fixture
def bert(config, rng, stir) -> BertModel:
    return stir(BertModel(config, rng=rng, dtype=np.float64))


def test_the_encoder_computes_the_published_formula(bert, config, make_batch):
    """One sequence, written down again without packing, heads as a loop."""
    batch = make_batch([6])
    w = {name: p.data for name, p in bert.named_parameters()}

    def affine(x, name):
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    def norm(x, name):
        g, b = w[f"{name}.LayerNorm.weight"], w[f"{name}.LayerNorm.bias"]
        return layer_norm(x, g, b, eps=config.layer_norm_eps).data

    h = w["embeddings.word_embeddings.weight"][batch.input_ids]
    h = h + w["embeddings.position_embeddings.weight"][batch.position_ids]
    h = h + w["embeddings.token_type_embeddings.weight"][batch.token_type_ids]
    h = norm(h, "embeddings")
    K = config.hidden_size // config.num_attention_heads
    for i in range(config.num_hidden_layers):
        layer = f"encoder.layer.{i}"
        q, k, v = (affine(h, f"{layer}.attention.self.{n}") for n in ("query", "key", "value"))
        heads = [slice(n * K, (n + 1) * K) for n in range(config.num_attention_heads)]
        mixed = np.hstack([softmax(q[:, c] @ k[:, c].T / K**0.5).data @ v[:, c] for c in heads])
        name = f"{layer}.attention.output"
        h = norm(affine(mixed, f"{name}.dense") + h, name)
        inner = gelu(affine(h, f"{layer}.intermediate.dense")).data
        h = norm(affine(inner, f"{layer}.output.dense") + h, f"{layer}.output")
    np.testing.assert_allclose(bert(batch).data, h, rtol=1e-12, atol=1e-13)
    pooled = np.tanh(affine(h[:1], "pooler.dense"))
    np.testing.assert_allclose(bert.pooled(bert(batch), batch).data, pooled, rtol=1e-12)


@settings(max_examples=20, deadline=None)
@given(lengths=st.lists(st.integers(1, 10), min_size=1, max_size=6), seed=st.integers(0, 99))
def test_packed_sequences_are_computed_as_if_each_were_alone(lengths, seed):
    rng = np.random.default_rng(seed)
    config = BertConfig(
        vocab_size=23,
        hidden_size=8,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=12,
        max_position_embeddings=10,
        initializer_range=0.4,
    )
    bert = BertModel(config, rng=rng, dtype=np.float64)
    T = sum(lengths)
    batch = Batch(
        input_ids=rng.integers(0, 23, T),
        position_ids=np.concatenate([np.arange(n) for n in lengths]),
        token_type_ids=rng.integers(0, 2, T),
        offsets=np.concatenate([[0], np.cumsum(lengths)]),
    )
    together = bert(batch).data
    alone = np.concatenate([bert(batch.select([n])).data for n in range(len(lengths))])
    np.testing.assert_allclose(together, alone, rtol=1e-12, atol=1e-13)
    backwards = np.arange(len(lengths))[::-1]
    parts = np.split(together, batch.offsets[1:-1])
    reordered = np.concatenate([parts[n] for n in backwards])
    np.testing.assert_allclose(
        bert(batch.select(backwards)).data, reordered, rtol=1e-12, atol=1e-13
    )


def test_the_positions_of_the_batch_are_used(bert, make_batch):
    batch = make_batch([4])
    shifted = replace(batch, position_ids=batch.position_ids + 2)
    assert np.abs(bert(shifted).data - bert(batch).data).max() > 0.1


def test_parameters_have_the_names_of_the_checkpoint(bert):
    names = [name for name, _ in bert.named_parameters()]
    layer = [name.removeprefix("encoder.layer.1.") for name in names if ".layer.1." in name]
    linears = [
        "attention.self.query",
        "attention.self.key",
        "attention.self.value",
        "attention.output.dense",
        "attention.output.LayerNorm",
        "intermediate.dense",
        "output.dense",
        "output.LayerNorm",
    ]
    assert layer == [f"{name}.{part}" for name in linears for part in ("weight", "bias")]
    assert [name for name in names if ".layer." not in name] == [
        "embeddings.word_embeddings.weight",
        "embeddings.position_embeddings.weight",
        "embeddings.token_type_embeddings.weight",
        "embeddings.LayerNorm.weight",
        "embeddings.LayerNorm.bias",
        "pooler.dense.weight",
        "pooler.dense.bias",
    ]


def test_weights_start_as_published(settings, rng):
    sizes = {"vocab_size": 2000, "hidden_size": 64, "initializer_range": 0.02}
    bert = BertModel(BertConfig.from_json(settings | sizes), rng=rng)
    for name, p in bert.named_parameters():
        if name.endswith("LayerNorm.weight"):
            assert (p.data == 1).all()
        elif name.endswith("bias"):
            assert (p.data == 0).all()
        else:
            assert p.data.std() == pytest.approx(0.02, rel=0.2)
            assert abs(p.data.mean()) < 0.004


def test_the_same_seed_gives_the_same_model_in_both_precisions(config):
    one = BertModel(config, rng=np.random.default_rng(5), dtype=np.float32).state_dict()
    two = BertModel(config, rng=np.random.default_rng(5), dtype=np.float64).state_dict()
    for name in one:
        np.testing.assert_array_equal(one[name], two[name].astype(np.float32))


def test_a_pooler_that_is_not_there_is_named(config, rng, make_batch):
    bert = BertModel(config, rng=rng, add_pooling_layer=False)
    batch = make_batch([3])
    with pytest.raises(ShapeError, match="no pooler; make it with add_pooling_layer=True"):
        bert.pooled(bert(batch), batch)


def test_a_sequence_too_long_is_refused(bert, make_batch):
    with pytest.raises(ShapeError, match=r"sequence 1 has 11 tokens.* positions for 10; encode"):
        bert(make_batch([3, 11]))


@pytest.mark.parametrize("wrong", [23, -1])
def test_a_token_outside_the_vocabulary_is_refused(bert, make_batch, wrong):
    batch = make_batch([3])
    batch.input_ids[2] = wrong
    with pytest.raises(DataError, match=rf"token id {wrong} at token 2 .* has 0 to 22; encode"):
        bert(batch)


def test_an_unknown_token_type_is_refused(bert, make_batch):
    batch = make_batch([3])
    batch.token_type_ids[1] = 2
    with pytest.raises(DataError, match="token type 2 at token 1"):
        bert(batch)


@pytest.mark.parametrize("wrong", [10, -1])
def test_a_position_outside_the_table_is_refused(bert, make_batch, wrong):
    batch = make_batch([3])
    batch.position_ids[1] = wrong
    with pytest.raises(DataError, match=f"position {wrong} at token 1"):
        bert(batch)


def test_dropout_sits_in_the_embeddings_the_attention_and_both_residuals(settings, make_batch):
    """Each of the four, alone, changes the result; and nothing does when all are zero."""
    batch = make_batch([5, 3])
    for hidden, attention in [(0.0, 0.0), (0.5, 0.0), (0.0, 0.5)]:
        probabilities = {"hidden_dropout_prob": hidden, "attention_probs_dropout_prob": attention}
        config = BertConfig.from_json(settings | probabilities)
        bert = BertModel(config, rng=np.random.default_rng(0), dtype=np.float64)
        with training(np.random.default_rng(0)):
            changed = (bert(batch).data != bert(batch).data).any()
        assert changed == (hidden + attention > 0)


def test_dropout_comes_after_the_embeddings_norm_and_before_the_residuals(config, make_batch):
    bert = BertModel(config, rng=np.random.default_rng(0), dtype=np.float64)  # norms are 1 and 0
    batch = make_batch([5, 3])
    with training(np.random.default_rng(0)):
        assert (bert.embeddings(batch).data == 0).any()
        hidden = bert(batch).data
    np.testing.assert_allclose(hidden.mean(axis=1), 0, atol=1e-12)
    np.testing.assert_allclose(hidden.std(axis=1), 1, rtol=1e-9)


def test_hidden_dropout_draws_once_in_the_embeddings_and_twice_a_layer(settings, make_batch):
    config = BertConfig.from_json(settings | {"attention_probs_dropout_prob": 0.0})
    bert = BertModel(config, rng=np.random.default_rng(0))
    used, counted = np.random.default_rng(3), np.random.default_rng(3)
    with training(used):
        bert(make_batch([4]))
    for _ in range(1 + 2 * config.num_hidden_layers):
        counted.integers(1 << 63)
    assert used.bit_generator.state == counted.bit_generator.state
