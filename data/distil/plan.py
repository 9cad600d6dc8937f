"""What kind of student, and how it is taught."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, fields
from typing import ClassVar

from minilora import BertConfig
from minilora.errors import ConfigError


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
    copies, swapped, recased
        How many variations of every text there are, the share of words replaced in them, and the
        share of them without a capital or in capitals.
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
    recased: float = 0.2
    pieces: int = 8_000_000
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

    def check(self, teacher: BertConfig) -> None:
        """Refuse what cannot be cut from this teacher.

        Raises
        ------
        ConfigError
            Listing every size that does not fit.
        """
        K = teacher.hidden_size // teacher.num_attention_heads
        problems = [f"the teacher's heads are {K} wide"] if K != self.HEAD_WIDTH else []
        if self.width % self.HEAD_WIDTH:
            problems.append(f"width {self.width} is no multiple of {self.HEAD_WIDTH}")
        for name, most in (
            ("width", teacher.hidden_size),
            ("layers", teacher.num_hidden_layers),
            ("intermediate", teacher.intermediate_size),
            ("positions", teacher.max_position_embeddings),
        ):
            if not 1 <= getattr(self, name) <= most:
                problems.append(f"{name} {getattr(self, name)} is not between 1 and {most}")
        if self.batch_pieces < 1:
            problems.append(f"batch-pieces {self.batch_pieces} is not at least 1")
        if problems:
            raise ConfigError(
                f"tiny-bert: {'; '.join(problems)}; heads of {self.HEAD_WIDTH} and sizes up to the "
                "teacher's were expected."
            )

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
