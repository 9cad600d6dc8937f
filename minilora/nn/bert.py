"""BERT's encoder, on packed sequences.

Attribute names are those of the Hugging Face checkpoint, dropout sits where transformers has it.
Devlin et al. 2019, arXiv:1810.04805, §3; the layer is Vaswani et al. 2017, arXiv:1706.03762, §3.1,
with layer norm after each residual.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Self

import numpy as np

from minilora._types import Array, DType, Rng
from minilora.autograd import Tensor
from minilora.errors import DataError, ShapeError
from minilora.nn.config import BertConfig
from minilora.nn.dropout import Dropout, dropout_now
from minilora.nn.init import blank_embedding, blank_layer_norm, blank_linear
from minilora.nn.layers import ACTIVATIONS
from minilora.nn.module import Module
from minilora.nn.pretrained import Checkpoint, Pretrained
from minilora.ops import attention, tanh
from minilora.text import Batch


class BertEmbeddings(Module):
    """h = drop(LayerNorm(word + token type + position))

    word_embeddings (V, D), position_embeddings (P, D), token_type_embeddings (types, D)

    Nothing is padded here, so [PAD] is a word like any other; transformers never trains its row.
    """

    def __init__(self, config: BertConfig, dtype: DType) -> None:
        D = config.hidden_size
        self.word_embeddings = blank_embedding(config.vocab_size, D, dtype)
        self.position_embeddings = blank_embedding(config.max_position_embeddings, D, dtype)
        self.token_type_embeddings = blank_embedding(config.type_vocab_size, D, dtype)
        self.LayerNorm = blank_layer_norm(D, config.layer_norm_eps, dtype)
        self.dropout = Dropout(config.hidden_dropout_prob)

    def forward(self, batch: Batch) -> Tensor:
        """batch of T tokens -> h (T, D)"""
        self._check(batch)
        h = self.word_embeddings(batch.input_ids) + self.token_type_embeddings(batch.token_type_ids)
        h = h + self.position_embeddings(batch.position_ids)
        return self.dropout(self.LayerNorm(h))

    def _check(self, batch: Batch) -> None:
        """Refuse what the tables have no row for."""
        P, longest = self.position_embeddings.weight.shape[0], int(batch.lengths.argmax())
        if batch.lengths[longest] > P:
            raise ShapeError(
                f"BERT: sequence {longest} has {batch.lengths[longest]} tokens, the model has "
                f"positions for {P}; encode with max_length={P} or less."
            )
        for what, ids, table in (
            ("token id", batch.input_ids, self.word_embeddings),
            ("token type", batch.token_type_ids, self.token_type_embeddings),
            ("position", batch.position_ids, self.position_embeddings),
        ):
            n = table.weight.shape[0]
            wrong = (ids < 0) | (ids >= n)
            if wrong.any():
                t = int(wrong.argmax())
                raise DataError(
                    f"BERT: {what} {ids[t]} at token {t} of the batch, the model has 0 to {n - 1}; "
                    "encode with the tokenizer that belongs to this model."
                )


class BertSelfAttention(Module):
    """softmax(q kᵀ / √K) v, per sequence and head; query, key, value are affine maps of h."""

    def __init__(self, config: BertConfig, dtype: DType) -> None:
        D = config.hidden_size
        self.query = blank_linear(D, D, dtype)
        self.key = blank_linear(D, D, dtype)
        self.value = blank_linear(D, D, dtype)
        self.n_heads = config.num_attention_heads
        self.dropout_p = config.attention_probs_dropout_prob

    def forward(self, h: Tensor, offsets: Array) -> Tensor:
        """h (T, D), offsets (N + 1,) -> (T, D)"""
        p, seed = dropout_now(self.dropout_p)
        return attention(
            self.query(h),
            self.key(h),
            self.value(h),
            offsets=offsets,
            n_heads=self.n_heads,
            dropout_p=p,
            seed=seed,
        )


class BertResidual(Module):
    """y = LayerNorm(drop(x Wᵀ + b) + h), which closes both halves of a layer

    x (T, I), h (T, D) -> y (T, D). In transformers: BertSelfOutput and BertOutput.
    """

    def __init__(self, config: BertConfig, I: int, dtype: DType) -> None:
        self.dense = blank_linear(config.hidden_size, I, dtype)
        self.LayerNorm = blank_layer_norm(config.hidden_size, config.layer_norm_eps, dtype)
        self.dropout = Dropout(config.hidden_dropout_prob)

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        """x (T, I), h (T, D) -> y (T, D)"""
        return self.LayerNorm(self.dropout(self.dense(x)) + h)


class BertAttention(Module):
    """Self-attention and its residual."""

    def __init__(self, config: BertConfig, dtype: DType) -> None:
        self.self = BertSelfAttention(config, dtype)
        self.output = BertResidual(config, config.hidden_size, dtype)

    def forward(self, h: Tensor, offsets: Array) -> Tensor:
        """h (T, D), offsets (N + 1,) -> (T, D)"""
        return self.output(self.self(h, offsets), h)


class BertIntermediate(Module):
    """act(h Wᵀ + b), from width D to width F."""

    def __init__(self, config: BertConfig, dtype: DType) -> None:
        self.dense = blank_linear(config.intermediate_size, config.hidden_size, dtype)
        self.activation = ACTIVATIONS[config.hidden_act]

    def forward(self, h: Tensor) -> Tensor:
        """h (T, D) -> (T, F)"""
        return self.activation(self.dense(h))


class BertLayer(Module):
    """Attention, then the feed-forward part, each with a residual and a layer norm after it."""

    def __init__(self, config: BertConfig, dtype: DType) -> None:
        self.attention = BertAttention(config, dtype)
        self.intermediate = BertIntermediate(config, dtype)
        self.output = BertResidual(config, config.intermediate_size, dtype)

    def forward(self, h: Tensor, offsets: Array) -> Tensor:
        """h (T, D), offsets (N + 1,) -> (T, D)"""
        h = self.attention(h, offsets)
        return self.output(self.intermediate(h), h)


class BertEncoder(Module):
    """One layer after the other."""

    def __init__(self, config: BertConfig, dtype: DType) -> None:
        self.layer = [BertLayer(config, dtype) for _ in range(config.num_hidden_layers)]

    def forward(self, h: Tensor, offsets: Array) -> Tensor:
        """h (T, D), offsets (N + 1,) -> (T, D)"""
        for layer in self.layer:
            h = layer(h, offsets)
        return h


class BertPooler(Module):
    """tanh(h_cls Wᵀ + b), where [CLS] is the first token of its sequence."""

    def __init__(self, config: BertConfig, dtype: DType) -> None:
        self.dense = blank_linear(config.hidden_size, config.hidden_size, dtype)

    def forward(self, h: Tensor, offsets: Array) -> Tensor:
        """h (T, D), offsets (N + 1,) -> (N, D)"""
        return tanh(self.dense(h[offsets[:-1]]))


class BertModel(Pretrained):
    """The encoder: a batch of T tokens -> hidden states (T, D).

    Parameters
    ----------
    config
        Sizes and settings.
    rng
        Draws the weights; None leaves all parameters zero, for a checkpoint to set.
    dtype
        Of every parameter, and so of everything computed.
    add_pooling_layer
        Whether there is a pooler for `pooled`.
    """

    may_lack = ("pooler",)

    def __init__(
        self,
        config: BertConfig,
        *,
        rng: Rng | None,
        dtype: DType = np.float32,
        add_pooling_layer: bool = True,
    ) -> None:
        self.embeddings = BertEmbeddings(config, dtype)
        self.encoder = BertEncoder(config, dtype)
        self.pooler = BertPooler(config, dtype) if add_pooling_layer else None
        self.start(config, rng)

    def forward(self, batch: Batch) -> Tensor:
        """batch -> hidden states of the last layer (T, D)

        Raises
        ------
        ShapeError
            A sequence is longer than the model has positions.
        DataError
            A token id or token type is outside the model's tables.
        """
        return self.encoder(self.embeddings(batch), batch.offsets)

    def pooled(self, hidden: Tensor, batch: Batch) -> Tensor:
        """hidden (T, D) -> tanh(dense(hidden of [CLS])) (N, D)

        Raises
        ------
        ShapeError
            The model was made without a pooler.
        """
        if self.pooler is None:
            raise ShapeError(
                "BertModel.pooled: this model has no pooler; make it with add_pooling_layer=True."
            )
        return self.pooler(hidden, batch.offsets)

    @classmethod
    def from_pretrained(
        cls,
        folder: str | os.PathLike[str],
        *,
        rng: Rng | None = None,
        dtype: DType = np.float32,
        add_pooling_layer: bool = True,
    ) -> Self:
        """Read the encoder from a Hugging Face folder.

        Parameters
        ----------
        folder
            With ``config.json`` and ``model.safetensors`` (or its shards).
        rng
            Needed when the checkpoint has no pooler and one is asked for: it starts at random.
        dtype
            What to compute in: float32 to train, float64 to verify.
        add_pooling_layer
            Whether to have a pooler.

        Raises
        ------
        CheckpointError
            The folder is missing, damaged or of another kind; lists every tensor that does not fit.
        ConfigError
            ``rng`` is missing.
        """
        checkpoint = Checkpoint.read(Path(folder), dtype=dtype)
        model = cls(checkpoint.config, rng=None, dtype=dtype, add_pooling_layer=add_pooling_layer)
        model.load(checkpoint, rng=rng)
        return model
