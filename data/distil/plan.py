"""What kind of student, and how it is taught."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, fields
from typing import ClassVar

from minilora import BertConfig


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Sizes of the student, and how it is taught.

    Attributes
    ----------
    width, layers, intermediate, vocabulary, positions
        D, number of layers, F, V, longest sequence. Layer l stands for the teacher's layer l;
        heads are 32 wide, as the teacher's.
    cased
        Whether capitals are kept.
    copies, swapped
        How many variations of every text there are, and the share of words replaced in them.
    pieces, batch_pieces
        How many pieces are read in all, and at a time.
    lr, weight_decay, warmup
        AdamW's highest learning rate and decay; the share of steps before the highest rate.
    mlm
        The weight of masked language modelling.
    seed
        Of everything random.
    """

    width: int = 192
    layers: int = 3
    intermediate: int = 768
    vocabulary: int = 7600
    positions: int = 256
    cased: bool = True
    copies: int = 2
    swapped: float = 0.15
    pieces: int = 20_000_000
    batch_pieces: int = 2000
    lr: float = 2e-3
    weight_decay: float = 0.01
    warmup: float = 0.05
    mlm: float = 0.3
    seed: int = 0

    HEAD_WIDTH: ClassVar[int] = 32

    @classmethod
    def of(cls, options: argparse.Namespace) -> Plan:
        """The plan among these options."""
        return cls(**{field.name: getattr(options, field.name) for field in fields(cls)})

    def config(self) -> BertConfig:
        """The student's."""
        return BertConfig(
            vocab_size=self.vocabulary,
            hidden_size=self.width,
            num_hidden_layers=self.layers,
            num_attention_heads=self.width // self.HEAD_WIDTH,
            intermediate_size=self.intermediate,
            max_position_embeddings=self.positions,
            initializer_range=0.05,
        )
