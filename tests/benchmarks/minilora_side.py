"""minilora's side of ``train_step.py``: the public interface, nothing tuned by hand."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import numpy as np
import threadpoolctl
from corpora import IGNORED
from worker import Reply, memory, serve, timed
from workloads import TokenBatch, load_batches

from minilora import (
    AdamW,
    Batch,
    BertForTokenClassification,
    kernels,
    load_adapter,
    merge,
    prepare,
    train_step,
)
from minilora._types import Array
from minilora.train.parallel import CHUNK_TOKENS, map_shards


def packed(batch: TokenBatch) -> Batch:
    """The same tokens as minilora takes them."""
    return Batch(
        input_ids=batch.input_ids,
        position_ids=np.concatenate([np.arange(length) for length in batch.lengths]),
        token_type_ids=np.zeros_like(batch.input_ids),
        offsets=batch.offsets,
        labels=batch.labels,
    )


def summed_cross_entropy(logits: Array, labels: Array | None) -> float:
    """−Σ_t log softmax(logits_t)[label_t] over the tokens that have a label."""
    assert labels is not None
    rows = np.flatnonzero(labels != IGNORED)
    logits = logits[rows].astype(np.float64)
    log_sums = np.log(np.exp(logits - logits.max(1, keepdims=True)).sum(1)) + logits.max(1)
    return float((log_sums - logits[np.arange(len(rows)), labels[rows]]).sum())


class MiniloraSide:
    """The model, its batches and its optimiser."""

    pack = staticmethod(packed)

    def load(
        self,
        *,
        base: str,
        labels: list[str],
        start: str | None,
        batches: str,
        kind: str,
        threads: int,
        lr: float,
        chunk_tokens: int = CHUNK_TOKENS,
    ) -> Reply:
        """Prepare for ``step``; without an adapter to start from, every weight is trained."""
        self.how = {"threads": threads, "chunk_tokens": chunk_tokens}
        self.model = BertForTokenClassification.from_pretrained(
            base, labels=labels, rng=np.random.default_rng(0), dtype=np.float32
        )
        if start is None:
            prepare(self.model, "full", rng=np.random.default_rng(0))
        else:
            load_adapter(self.model, start)
        self.step_of = {"train": self._train, "infer": self._infer}[kind]
        self.batches = [self.pack(batch) for batch in load_batches(Path(batches))]
        parameters = [p for _, p in self.model.named_parameters() if p.requires_grad]
        if kind == "train":
            self.optimizer = AdamW(parameters, lr=lr, weight_decay=0.01)
        elif start is not None:
            merge(self.model)
        return {"n_trainable": sum(p.data.size for p in parameters)}

    def step(self, *, index: int) -> Reply:
        """One timed step on batch ``index``."""
        return self.step_of(self.batches[index % len(self.batches)])

    def _train(self, batch: Batch) -> Reply:
        return timed(lambda: train_step(self.model, batch, self.optimizer, **self.how))

    def _infer(self, batch: Batch) -> Reply:
        shards: list[tuple[Array, Array]] = []

        def step() -> float:
            shards[:] = map_shards(lambda s: self.model(s).data, batch, **self.how)
            return 0.0

        reply = timed(step)
        loss = sum(
            summed_cross_entropy(logits, batch.select(indices).labels) for indices, logits in shards
        )
        return {**reply, "loss": loss / batch.n_targets}


def describe() -> Reply:
    """Versions, and which kernels and which BLAS run."""
    names = ("minilora", "numpy", "numba", "scipy")
    blas = [p for p in threadpoolctl.threadpool_info() if p["user_api"] == "blas"]
    return {
        "versions": {name: importlib.metadata.version(name) for name in names},
        "kernels": kernels.active(),
        "blas": sorted({f"{p['internal_api']} {p['version']} {p['architecture']}" for p in blas}),
    }


if __name__ == "__main__":
    side = MiniloraSide()
    serve({"describe": describe, "load": side.load, "step": side.step, "memory": memory})
