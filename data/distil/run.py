"""From a teacher and some texts to a folder with a student."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from tqdm import tqdm

from distil.lessons import Lessons
from distil.student import Distillation, Student, mask, new_student
from distil.teacher import Text, hidden_states, states_of
from distil.vocabulary import choose_pieces
from minilora import (
    AdamW,
    Batch,
    BertConfig,
    BertModel,
    WordPieceTokenizer,
    read_corpus,
    train_step,
)
from minilora._types import Array, Rng
from minilora.storage import replacing, write_json, write_tensors
from minilora.text import Sentence
from minilora.train import decay_groups, map_shards
from minilora.train.schedule import cosine

REPORT_EVERY = 500
"""Steps between two looks at the held-out texts."""
REPORT_PIECES = 4096
WHOLE = 10**9
"""A batch is one chunk: every further one would cost a gradient of the whole embedding table."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Sizes of the student, and how it is taught.

    Attributes
    ----------
    width, layers, intermediate, vocabulary, positions
        D, number of layers, F, V, longest sequence; heads are 32 wide, as the teacher's.
    cased
        Whether capitals are kept.
    match
        The teacher's layers that the student's last ones are to come near.
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
    vocabulary: int = 8000
    positions: int = 256
    cased: bool = True
    match: tuple[int, ...] = (2, 4, 6)
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
        given = {field.name: getattr(options, field.name) for field in dataclasses.fields(cls)}
        return cls(**{**given, "match": tuple(given["match"])})

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


def distil(
    plan: Plan,
    *,
    teacher_dir: Path,
    text: Sequence[Path],
    dev: Sequence[Path],
    out: Path,
    cache: Path,
    threads: int | None,
) -> None:
    """Teach a student, and write it to ``out`` in float16."""
    rng = np.random.default_rng(plan.seed)
    teacher = BertModel.from_pretrained(teacher_dir, add_pooling_layer=False)
    teacher_tokenizer = WordPieceTokenizer.from_pretrained(teacher_dir)
    texts = read_texts(text)
    pieces = choose_pieces(teacher_tokenizer, texts, size=plan.vocabulary, cased=plan.cased)
    write_tokenizer(out, list(pieces), plan)
    tokenizer = WordPieceTokenizer.from_pretrained(out)

    def lessons(name: str, texts: list[Text]) -> Lessons:
        states = states_of(
            teacher,
            teacher_tokenizer,
            texts,
            layers=plan.match,
            file=cache / f"{name}.npy",
            threads=threads,
            progress=lambda chunks: tqdm(chunks, f"teacher reads {name}", disable=None),
        )
        return Lessons.join(tokenizer, texts, states, max_length=plan.positions)

    train = lessons("text", texts)
    held_out = lessons("dev", read_texts(dev)) if dev else None
    student = new_student(plan.config(), teacher, pieces, rng=rng)
    teach(student, train, held_out, plan, ids=tokenizer.vocab, rng=rng, threads=threads)
    write_student(student, out)


def teach(
    student: Student,
    train: Lessons,
    held_out: Lessons | None,
    plan: Plan,
    *,
    ids: Mapping[str, int],
    rng: Rng,
    threads: int | None,
) -> None:
    """Take AdamW steps on the distillation loss until ``plan.pieces`` pieces were read."""
    task = Distillation(student, train, mlm=plan.mlm, rng=rng)
    optimizer = AdamW(decay_groups(task, plan.weight_decay), lr=plan.lr)
    seen, warmup = 0, int(plan.warmup * plan.pieces)
    bar = tqdm(desc="student learns", total=plan.pieces, unit="piece", unit_scale=True)
    for step, batch in enumerate(endless(train, plan.batch_pieces, rng)):
        if seen >= plan.pieces:
            break
        optimizer.factor = cosine(seen, plan.pieces, warmup)
        masked = mask(batch, train, ids, rng)
        train_step(task, masked, optimizer, threads=threads, clip=1.0, chunk_tokens=WHOLE)
        seen += batch.n_tokens
        bar.update(batch.n_tokens)
        if held_out and step % REPORT_EVERY == 0:
            task.lessons = held_out
            bar.set_postfix_str(f"missed {' '.join(f'{x:.3f}' for x in missed(task, threads))}")
            task.lessons = train
    bar.close()


def endless(lessons: Lessons, n_pieces: int, rng: Rng) -> Iterator[Batch]:
    """Batches, pass after pass."""
    while True:
        yield from lessons.batches(n_pieces, rng)


def missed(task: Distillation, threads: int | None) -> Array:
    """Shares of the teacher's states that the student misses: by layer, and of whole texts."""
    lessons, sums, n = task.lessons, 0.0, 0

    def forward(shard: Batch) -> Array:
        states = hidden_states(task.student.bert, shard)
        return np.array([e.item() for e in task.missed(states, shard)]) * shard.n_tokens

    for batch in lessons.batches(REPORT_PIECES, np.random.default_rng(0)):
        sums = sums + sum(found for _, found in map_shards(forward, batch, threads=threads))
        n += batch.n_tokens
    return sums / n


def read_texts(paths: Sequence[Path]) -> list[Text]:
    """Sentences as words, other rows as texts; labels are not looked at."""
    texts: list[Text] = []
    for path in paths:
        rows = read_corpus(path, "ner" if path.suffix == ".conll" else "classify").rows
        texts += [row.words if isinstance(row, Sentence) else row.text for row in rows]
    return texts


def write_student(student: Student, folder: Path) -> None:
    """config.json and model.safetensors, in float16: half the size, and no score changes."""
    tensors = {name: array.astype(np.float16) for name, array in student.state_dict().items()}
    write_tensors(folder / "model.safetensors", tensors, metadata={"format": "pt"})
    config = {"architectures": ["BertForMaskedLM"], **student.config.to_dict()}
    write_json(folder / "config.json", config | {"torch_dtype": "float16"})


def write_tokenizer(folder: Path, pieces: Sequence[str], plan: Plan) -> None:
    """vocab.txt and tokenizer_config.json"""
    with replacing(folder / "vocab.txt") as file:
        file.write("".join(f"{piece}\n" for piece in pieces).encode())
    settings = {
        "tokenizer_class": "BertTokenizer",
        "do_lower_case": not plan.cased,
        "strip_accents": True,
        "tokenize_chinese_chars": True,
        "model_max_length": plan.positions,
    }
    write_json(folder / "tokenizer_config.json", settings)
