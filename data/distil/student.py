"""The student: how it starts, and what is asked of it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from distil.lessons import Lessons
from distil.start import fit_linear
from distil.teacher import hidden_states
from minilora import Batch, BertConfig, BertForMaskedLM, Tensor, no_grad
from minilora._types import DType, Rng
from minilora.nn import Module
from minilora.nn.bert import BertPooler
from minilora.nn.layers import Linear
from minilora.ops import cross_entropy, mse_loss

MASKED_TEXTS, MASKED_PIECES = 0.5, 0.15
"""The share of texts of which some pieces are masked, and the share of their pieces."""


class Student(BertForMaskedLM):
    """BERT with a masked-LM head and a pooler, as pretrained encoders come."""

    def __init__(self, config: BertConfig, *, rng: Rng | None, dtype: DType = np.float32) -> None:
        super().__init__(config, rng=None, dtype=dtype)
        self.bert.pooler = BertPooler(config, dtype)
        self.start(config, rng)


class Distillation(Module):
    """loss = words + sentences + λ masked-LM cross-entropy, a mean over the pieces of a batch

    words: 1/L Σ_l ‖P_l h_l + c_l − teacher's l‖² / D, for the student's last L layers. The
    teacher's states have deviation 1, so it is the share of them that is not understood.
    sentences: the same for the pooler's output and the mean of the teacher's last states over the
    pieces of a text, which is what all-MiniLM was trained to mean; each piece counts its text's, so
    that the parts of a batch add up to the whole. The maps P are learnt beside the
    student and then forgotten; L, D: of ``lessons.states``. After TinyBERT (Jiao et al. 2020,
    arXiv:1909.10351, §3.1); masked language modelling is that of BERT (arXiv:1810.04805, §3.1).

    Parameters
    ----------
    student
        With masked-LM head.
    lessons
        What the labels of a batch are numbers in.
    mlm
        λ, the weight of masked language modelling.
    rng
        Draws the start of the projections.
    """

    def __init__(self, student: BertForMaskedLM, lessons: Lessons, *, mlm: float, rng: Rng) -> None:
        self.student, self.lessons, self.mlm = student, lessons, mlm
        _, n, O = lessons.states.shape  # the last of these n layers is the sentences'
        D = student.config.hidden_size
        *words, sentence = rng.standard_normal((n, O, D)).astype(np.float32) / math.sqrt(D)
        self.words = [Linear(W, np.zeros(O, np.float32)) for W in words]
        self.sentence = Linear(sentence, np.zeros(O, np.float32))

    def fit(self, batch: Batch) -> None:
        """Start the words' maps where least squares has them on this batch."""
        with no_grad():
            states = hidden_states(self.student.bert, batch)[-len(self.words) :]
            *wanted, _ = self.lessons.targets(batch)
            for project, h, y in zip(self.words, states, wanted, strict=True):
                fit_linear(project, h.data, y)

    def loss(
        self, batch: Batch, *, n_targets: int | None = None, label_smoothing: float = 0.0
    ) -> Tensor:
        """Of a batch of lessons, some of whose pieces may be masked.

        Parameters
        ----------
        batch
            Of ``lessons``; pieces that are not the true ones are to be guessed.
        n_targets
            What to divide by (default: the number of pieces of the batch).
        label_smoothing
            Of masked language modelling.
        """
        ids = self.lessons.true_ids(batch)
        masked = np.flatnonzero(batch.input_ids != ids)  # (R,)
        states = hidden_states(self.student.bert, batch)
        *words, sentence = self.missed(states, batch)
        loss = (total(words) / len(words) + sentence) * batch.n_tokens
        if len(masked):
            logits = self.student.cls.predictions(states[-1][masked])  # (R, V)
            guess = cross_entropy(
                logits, ids[masked], reduction="sum", label_smoothing=label_smoothing
            )
            loss = loss + guess * self.mlm
        return loss / (n_targets or batch.n_targets)

    def missed(self, states: list[Tensor], batch: Batch) -> list[Tensor]:
        """Mean squared errors, given all states (T, D): of words by layer, and of whole texts."""
        last = states[-len(self.words) :]
        *wanted, meaning = self.lessons.targets(batch)
        errors = [
            mse_loss(project(h), Tensor(y))
            for project, h, y in zip(self.words, last, wanted, strict=True)
        ]
        pooled = self.student.bert.pooled(states[-1], batch)  # (N, D)
        lengths = batch.lengths[:, None]
        y = np.add.reduceat(meaning, batch.offsets[:-1]) / lengths
        w = np.sqrt(lengths / lengths.mean()).astype(pooled.dtype)  # (N, 1)
        return [*errors, mse_loss(self.sentence(pooled) * Tensor(w), Tensor(w * y))]


def total(tensors: Iterable[Tensor]) -> Tensor:
    """Their sum."""
    first, *others = tensors
    for tensor in others:
        first = first + tensor
    return first


def mask(batch: Batch, tokenizer_ids: Mapping[str, int], rng: Rng) -> Batch:
    """Hide some pieces of some texts behind [MASK], never [CLS] or [SEP]; the labels stay."""
    chosen = np.repeat(rng.random(batch.n_sequences) < MASKED_TEXTS, batch.lengths)
    chosen &= rng.random(batch.n_tokens) < MASKED_PIECES
    chosen &= ~np.isin(batch.input_ids, [tokenizer_ids["[CLS]"], tokenizer_ids["[SEP]"]])
    return replace(batch, input_ids=np.where(chosen, tokenizer_ids["[MASK]"], batch.input_ids))
