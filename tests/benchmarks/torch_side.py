"""PyTorch + PEFT's side of ``train_step.py``, at the best settings that keep the arithmetic equal.

Frozen weights have ``requires_grad=False`` (PEFT), gradients are dropped, not zeroed, inference
runs under ``inference_mode`` with the adapters merged, a batch without padding gets no mask, and
AdamW is the quickest of PyTorch's three here. ``eval()`` is dropout 0 without dropout's calls.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any

import numpy as np
import peft
import torch
import transformers
from corpora import IGNORED
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import BertForTokenClassification
from worker import Reply, memory, serve, timed
from workloads import TokenBatch, load_batches

ADAMW_VARIANTS: dict[str, dict[str, Any]] = {
    "fused": {"fused": True},
    "foreach": {"foreach": True},
    "for-loop": {"foreach": False},
}


def base_model(base: str, labels: list[str], attention: str) -> Any:
    """The pretrained encoder under a fresh classifier, in float32."""
    return BertForTokenClassification.from_pretrained(
        base,
        num_labels=len(labels),
        attn_implementation=attention,
        dtype=torch.float32,
        local_files_only=True,
    )


def export_start(
    base: str, labels: list[str], method: str, targets: Any, out: str, r: int, alpha: int
) -> Reply:
    """Write what both sides start from.

    For ``lora`` an adapter, PEFT's own start with B drawn, not zero; for ``full`` the whole model
    with its fresh head.
    """
    torch.manual_seed(0)
    if method == "full":
        whole = base_model(base, labels, "sdpa")
        whole.save_pretrained(out)
        return {"n_trainable": whole.num_parameters()}
    config = LoraConfig(
        task_type="TOKEN_CLS",
        r=r,
        lora_alpha=alpha,
        target_modules=targets,
        modules_to_save=["classifier"],
    )
    model = get_peft_model(base_model(base, labels, "sdpa"), config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.02)
    model.save_pretrained(out)
    return {"n_trainable": sum(p.numel() for p in model.parameters() if p.requires_grad)}


def quickest_adamw(parameters: list[torch.nn.Parameter], n_steps: int = 20) -> str:
    """The AdamW variant that takes the least time on tensors like these."""
    seconds = {}
    for name, options in ADAMW_VARIANTS.items():
        twins = [torch.nn.Parameter(p.detach().clone()) for p in parameters]
        for twin in twins:
            twin.grad = torch.ones_like(twin)
        optimizer = torch.optim.AdamW(twins, lr=1e-4, **options)
        optimizer.step()
        start = time.perf_counter()
        for _ in range(n_steps):
            optimizer.step()
        seconds[name] = time.perf_counter() - start
    return min(seconds, key=lambda name: seconds[name])


class TorchBatch:
    """A batch padded to its longest sequence."""

    def __init__(self, batch: TokenBatch) -> None:
        lengths = batch.lengths
        real = np.arange(lengths.max()) < lengths[:, None]  # (N, longest)
        self.real = real
        self.labels = torch.from_numpy(self._pad(batch.labels, IGNORED))
        self.inputs = {"input_ids": torch.from_numpy(self._pad(batch.input_ids, 0))}
        if not real.all():
            self.inputs["attention_mask"] = torch.from_numpy(real.astype(np.int64))

    def _pad(self, values: Any, padding: int) -> Any:
        padded = np.full(self.real.shape, padding, np.int64)
        padded[self.real] = values
        return padded


class TorchSide:
    """The model, its batches and its optimiser."""

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
        attention: str = "sdpa",
        adamw: str = "auto",
        autocast: bool = False,
    ) -> Reply:
        """Prepare for ``step``; without an adapter to start from, every weight is trained."""
        torch.set_num_threads(threads)
        model = base_model(base, labels, attention)
        if start is not None:
            model = PeftModel.from_pretrained(model, start, is_trainable=kind == "train")
            model = model if kind == "train" else model.merge_and_unload()
        self.step_of = {"train": self._train, "infer": self._infer}[kind]
        self.model = model.eval()
        self.batches = [TorchBatch(batch) for batch in load_batches(Path(batches))]
        self.precision = (
            torch.autocast("cpu", dtype=torch.bfloat16) if autocast else contextlib.nullcontext()
        )
        parameters = [p for p in model.parameters() if p.requires_grad]
        if kind == "train":
            adamw = quickest_adamw(parameters) if adamw == "auto" else adamw
            self.optimizer = torch.optim.AdamW(
                parameters, lr=lr, weight_decay=0.01, **ADAMW_VARIANTS[adamw]
            )
        return {"n_trainable": sum(p.numel() for p in parameters), "adamw": adamw}

    def step(self, *, index: int) -> Reply:
        """One timed step on batch ``index``."""
        return self.step_of(self.batches[index % len(self.batches)])

    def _train(self, batch: TorchBatch) -> Reply:
        def step() -> float:
            with self.precision:
                loss = self.model(**batch.inputs, labels=batch.labels).loss
            loss.backward()
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
            return float(loss.detach())

        return timed(step)

    def _infer(self, batch: TorchBatch) -> Reply:
        logits = torch.empty(0)

        def step() -> float:
            nonlocal logits
            with torch.inference_mode(), self.precision:
                logits = self.model(**batch.inputs).logits
            return 0.0

        reply = timed(step)
        loss = torch.nn.functional.cross_entropy(
            logits.float().flatten(0, 1), batch.labels.flatten(), ignore_index=IGNORED
        )
        return {**reply, "loss": float(loss)}


def describe() -> Reply:
    """Versions, and which instructions PyTorch uses."""
    return {
        "versions": {m.__name__: m.__version__ for m in (torch, transformers, peft)},
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
    }


if __name__ == "__main__":
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    side = TorchSide()
    serve(
        {
            "describe": describe,
            "export_start": export_start,
            "load": side.load,
            "step": side.step,
            "memory": memory,
        }
    )
