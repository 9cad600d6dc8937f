"""Teaching: AdamW on the distillation loss, with a look at held-out texts now and then."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from tqdm import tqdm

from distil.lessons import Lessons
from distil.plan import Plan
from distil.student import Distillation, Student, mask
from distil.teacher import hidden_states
from minilora import AdamW, Batch, train_step
from minilora._types import Array, Rng
from minilora.train import decay_groups, map_shards
from minilora.train.schedule import cosine

REPORT_EVERY = 500
"""Steps between two looks at the held-out texts."""
REPORT_PIECES = 4096
WHOLE = 10**9
"""A batch is one chunk: every further one would cost a gradient of the whole embedding table."""


def teach(
    student: Student,
    sample: Batch,
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
    task.fit(sample)
    optimizer = AdamW(decay_groups(task, plan.weight_decay), lr=plan.lr)
    seen, warmup = 0, int(plan.warmup * plan.pieces)
    bar = tqdm(desc="student learns", total=plan.pieces, unit="piece", unit_scale=True)
    for step, batch in enumerate(endless(train, plan.batch_pieces, rng)):
        if seen >= plan.pieces:
            break
        optimizer.factor = cosine(seen, plan.pieces, warmup)
        masked = mask(batch, ids, rng)
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
    lessons, n = task.lessons, 0
    sums: Array = np.zeros(len(task.words) + 1)

    def forward(shard: Batch) -> Array:
        states = hidden_states(task.student.bert, shard)
        return np.array([e.item() for e in task.missed(states, shard)]) * shard.n_tokens

    for batch in lessons.batches(REPORT_PIECES, np.random.default_rng(0)):
        sums = sums + sum(found for _, found in map_shards(forward, batch, threads=threads))
        n += batch.n_tokens
    return sums / n
