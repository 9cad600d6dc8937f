"""minilora with some of what makes it quick switched off, for ``ladder.py``."""

from __future__ import annotations

import contextlib
from typing import Any
from unittest import mock

import minilora_side
import numpy as np
import threadpoolctl
from corpora import IGNORED
from minilora_side import MiniloraSide
from worker import Reply, memory, serve
from workloads import TokenBatch

from minilora import Batch
from minilora.train import parallel

PAD = 0


def padded(batch: TokenBatch) -> Batch:
    """Every sequence as long as the longest: [PAD] is computed, and attended to, like a word.

    That costs what padding costs elsewhere; the results are others, since nothing masks it.
    """
    lengths = batch.lengths
    real = np.arange(lengths.max()) < lengths[:, None]  # (N, longest)
    ids, labels = np.full(real.shape, PAD), np.full(real.shape, IGNORED)
    ids[real], labels[real] = batch.input_ids, batch.labels
    offsets = np.arange(len(lengths) + 1) * real.shape[1]
    return minilora_side.packed(TokenBatch(ids.ravel(), offsets, labels.ravel()))


class SlowerSide(MiniloraSide):
    """Takes the same requests, and what to do without."""

    def load(
        self,
        *,
        threads: int,
        pad: bool = False,
        threads_in_blas: bool = False,
        back_to_the_embeddings: bool = False,
        **words: Any,
    ) -> Reply:
        """Prepare for ``step``.

        ``pad``: see `padded`. ``threads_in_blas``: one shard, whose matrix products have all the
        threads. ``back_to_the_embeddings``: gradients run through layer 0, though nothing below it
        is trained.
        """
        if threads_in_blas:
            mock.patch.object(parallel, "one_blas_thread", contextlib.nullcontext).start()
            threadpoolctl.threadpool_limits(threads, user_api="blas")
        if pad:
            self.pack = padded  # type: ignore[method-assign]
        reply = super().load(threads=1 if threads_in_blas else threads, **words)
        if back_to_the_embeddings:
            self.model.bert.embeddings.LayerNorm.bias.requires_grad_(True)
        return reply


if __name__ == "__main__":
    side = SlowerSide()
    serve({"load": side.load, "step": side.step, "memory": memory})
