"""What sits on the encoder: a class per token, a class per sequence, a word per token."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, Self

import numpy as np

from minilora._types import DType, Rng
from minilora.autograd import Tensor
from minilora.errors import ConfigError
from minilora.nn.bert import BertModel
from minilora.nn.config import BertConfig
from minilora.nn.dropout import Dropout
from minilora.nn.init import blank_layer_norm, blank_linear
from minilora.nn.labels import checked_labels, settle_labels
from minilora.nn.layers import ACTIVATIONS, Linear
from minilora.nn.module import Module, Parameter
from minilora.nn.pretrained import Checkpoint, Pretrained
from minilora.nn.targets import checked_targets
from minilora.ops import cross_entropy
from minilora.text import IGNORED, Batch


class BertClassifier(Pretrained):
    """What token and sequence classification share: an encoder, dropout and one affine map.

    Parameters
    ----------
    config
        Sizes and settings; its ``id2label`` gives way to ``labels``.
    labels
        The class names, in order: at least two, all different.
    rng
        Draws the weights; None leaves all parameters zero, for a checkpoint to set.
    dtype
        Of every parameter, and so of everything computed.
    """

    may_lack = ("classifier", "pooler")
    labels_are_per: Literal["token", "sequence"]

    def __init__(
        self,
        config: BertConfig,
        *,
        labels: Sequence[str],
        rng: Rng | None,
        dtype: DType = np.float32,
    ) -> None:
        self.label_names = checked_labels(labels)
        C, D = len(self.label_names), config.hidden_size
        pooled = self.labels_are_per == "sequence"
        self.bert = BertModel(config, rng=None, dtype=dtype, add_pooling_layer=pooled)
        p = config.classifier_dropout
        self.dropout = Dropout(config.hidden_dropout_prob if p is None else p)
        self.classifier = blank_linear(C, D, dtype)
        self.start(replace(config, id2label=dict(enumerate(self.label_names))), rng)

    def loss(
        self, batch: Batch, *, n_targets: int | None = None, label_smoothing: float = 0.0
    ) -> Tensor:
        """Σ cross-entropy / n_targets, over the labels that are not -100

        Parameters
        ----------
        batch
            With labels: (T,) for tokens, (N,) for sequences.
        n_targets
            What to divide by (default: the batch's own number of labels, which makes it the mean).
            Parts of a batch, each divided by the number of all, add up to the batch's mean.
        label_smoothing
            See `minilora.ops.cross_entropy`.

        Raises
        ------
        DataError
            The batch has no labels, or some that are no classes of this model.
        ShapeError
            The labels are not one per token (or per sequence).
        """
        targets, n = checked_targets(
            batch, per=self.labels_are_per, n_classes=len(self.label_names), n_targets=n_targets
        )
        logits = self(batch)
        return cross_entropy(logits, targets, label_smoothing=label_smoothing, reduction="sum") / n

    @classmethod
    def from_pretrained(
        cls,
        folder: str | os.PathLike[str],
        *,
        labels: Sequence[str] | None = None,
        rng: Rng | None = None,
        dtype: DType = np.float32,
    ) -> Self:
        """Read encoder, and classifier where there is one, from a Hugging Face folder.

        Parameters
        ----------
        folder
            With ``config.json`` and ``model.safetensors`` (or its shards).
        labels
            The class names, in order. None: those of the folder's own classifier. A classifier in
            the folder with the same names in another order has its rows put in this order; one
            with as many other names is taken as it is; one with another number starts afresh.
        rng
            Draws what the folder lacks (see ``started_at_random``); needed only then.
        dtype
            What to compute in: float32 to train, float64 to verify.

        Raises
        ------
        CheckpointError
            The folder is missing, damaged or of another kind; lists every tensor that does not fit.
        ConfigError
            ``labels`` or ``rng`` is missing, or ``labels`` cannot be used.
        """
        checkpoint = Checkpoint.read(Path(folder), dtype=dtype)
        names, checkpoint = settle_labels(checkpoint, labels)
        model = cls(checkpoint.config, labels=names, rng=None, dtype=dtype)
        model.load(checkpoint, rng=rng)
        return model


class BertForTokenClassification(BertClassifier):
    """A class per token: logits (T, C) = drop(hidden) Wᵀ + b

    Devlin et al. 2019, arXiv:1810.04805, §5.3 (and §4 for fine-tuning in general).
    """

    labels_are_per = "token"

    def forward(self, batch: Batch) -> Tensor:
        """batch of T tokens -> logits (T, C)"""
        return self.classifier(self.dropout(self.bert(batch)))


class BertForSequenceClassification(BertClassifier):
    """A class per sequence or pair: logits (N, C) = drop(tanh(hidden_cls W_pᵀ + b_p)) Wᵀ + b

    Devlin et al. 2019, arXiv:1810.04805, §4.1.
    """

    labels_are_per = "sequence"

    def forward(self, batch: Batch) -> Tensor:
        """batch of N sequences -> logits (N, C)"""
        return self.classifier(self.dropout(self.bert.pooled(self.bert(batch), batch)))


class BertTransform(Module):
    """LayerNorm(act(h Wᵀ + b)), ahead of the decoder."""

    def __init__(self, config: BertConfig, dtype: DType) -> None:
        D = config.hidden_size
        self.dense = blank_linear(D, D, dtype)
        self.LayerNorm = blank_layer_norm(D, config.layer_norm_eps, dtype)
        self.activation = ACTIVATIONS[config.hidden_act]

    def forward(self, h: Tensor) -> Tensor:
        """h (R, D) -> (R, D)"""
        return self.LayerNorm(self.activation(self.dense(h)))


class BertPredictions(Module):
    """logits = transform(h) Eᵀ + bias, where E (V, D) is the table of word embeddings itself."""

    def __init__(self, config: BertConfig, word_embeddings: Parameter, dtype: DType) -> None:
        self.bias = Parameter(np.zeros(config.vocab_size, dtype))
        self.transform = BertTransform(config, dtype)
        self.decoder = Linear(word_embeddings, self.bias)

    def forward(self, h: Tensor) -> Tensor:
        """h (R, D) -> logits (R, V)"""
        return self.decoder(self.transform(h))


class BertHeads(Module):
    """The checkpoint's ``cls``, of which masked language modelling uses ``predictions``."""

    def __init__(self, config: BertConfig, word_embeddings: Parameter, dtype: DType) -> None:
        self.predictions = BertPredictions(config, word_embeddings, dtype)


class BertForMaskedLM(Pretrained):
    """A word per token: logits (T, V), the decoder tied to the word embeddings.

    Parameters as for `BertModel`. Devlin et al. 2019, arXiv:1810.04805, §3.1, task #1.
    """

    may_lack = ("cls.predictions",)

    def __init__(self, config: BertConfig, *, rng: Rng | None, dtype: DType = np.float32) -> None:
        if not config.tie_word_embeddings:
            raise ConfigError(
                "BertForMaskedLM: tie_word_embeddings is False; expected True, for here the "
                "decoder is the table of word embeddings; use a model whose decoder is tied."
            )
        self.bert = BertModel(config, rng=None, dtype=dtype, add_pooling_layer=False)
        self.cls = BertHeads(config, self.bert.embeddings.word_embeddings.weight, dtype)
        self.start(config, rng)

    def forward(self, batch: Batch) -> Tensor:
        """batch of T tokens -> logits (T, V)"""
        return self.cls.predictions(self.bert(batch))

    def loss(
        self, batch: Batch, *, n_targets: int | None = None, label_smoothing: float = 0.0
    ) -> Tensor:
        """Σ cross-entropy / n_targets, over the tokens whose label is not -100

        Only those tokens are decoded: a row of V logits costs more than the encoder's share.
        Parameters and errors as for `BertClassifier.loss`, labels (T,) being word ids.
        """
        targets, n = checked_targets(
            batch, per="token", n_classes=self.config.vocab_size, n_targets=n_targets
        )
        labelled = np.flatnonzero(targets != IGNORED)  # (R,)
        logits = self.cls.predictions(self.bert(batch)[labelled])  # (R, V)
        loss = cross_entropy(
            logits, targets[labelled], label_smoothing=label_smoothing, reduction="sum"
        )
        return loss / n

    @classmethod
    def from_pretrained(
        cls,
        folder: str | os.PathLike[str],
        *,
        rng: Rng | None = None,
        dtype: DType = np.float32,
    ) -> Self:
        """Read encoder, and the masked-LM head where there is one, from a Hugging Face folder.

        Parameters and errors as for `BertModel.from_pretrained`.
        """
        checkpoint = Checkpoint.read(Path(folder), dtype=dtype)
        model = cls(checkpoint.config, rng=None, dtype=dtype)
        model.load(checkpoint, rng=rng)
        return model
