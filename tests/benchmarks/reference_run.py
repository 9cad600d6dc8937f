"""PyTorch + PEFT's training by the recipe of ``minilora train``: the scores to compare with.

    python tests/benchmarks/reference_run.py --dataset wikigold snips --seeds 0 1 2 --out peft.jsonl

Shares no code with minilora: transformers' tokenizer, model and schedules, PEFT's LoRA, seqeval's
scores. Each run appends one JSON line with its settings, scores and seconds.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from corpora import IGNORED, align, load_tokenizer, read_conll, read_tsv, tag_names
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from recipe import TASKS, Recipe, split_path
from seqeval.metrics import f1_score
from transformers import AutoModelForSequenceClassification, AutoModelForTokenClassification

Inputs = dict[str, torch.Tensor]
EVALUATION_BATCH = 64


class Task:
    """A data set, encoded: batches to learn from and a score to be measured by."""

    task_type: str
    auto_model: Any
    labels: list[str]
    splits: dict[str, list[Any]]  # encoded rows of train, dev and test

    def batch(self, rows: Sequence[Any]) -> Inputs:
        """Rows padded to the longest."""
        raise NotImplementedError

    def score(self, split: str, logits: list[np.ndarray]) -> float:
        """The score of a split, given one row's logits after the other."""
        raise NotImplementedError


class Tagging(Task):
    """NER: a label on each word's first piece; scored by seqeval's entity F1."""

    task_type, auto_model = "TOKEN_CLS", AutoModelForTokenClassification

    def __init__(self, dataset: str, tokenizer: Any, max_length: int) -> None:
        self.sentences = {s: read_conll(split_path(dataset, s)) for s in ("train", "dev", "test")}
        self.labels = tag_names(self.sentences["train"])
        ids = {name: i for i, name in enumerate(self.labels)}
        self.splits = {
            split: [align(tokenizer, s, ids, max_length) for s in sentences]
            for split, sentences in self.sentences.items()
        }

    def batch(self, rows: Sequence[Any]) -> Inputs:
        return {
            **padded([row.input_ids for row in rows]),
            "labels": pad([row.label_ids for row in rows], IGNORED),
        }

    def score(self, split: str, logits: list[np.ndarray]) -> float:
        predicted = [
            ["O" if p < 0 else self.labels[int(scores[p].argmax())] for p in row.first]
            for row, scores in zip(self.splits[split], logits, strict=True)
        ]
        return float(f1_score([s.tags for s in self.sentences[split]], predicted))


class Classification(Task):
    """One label a text; scored by accuracy."""

    task_type, auto_model = "SEQ_CLS", AutoModelForSequenceClassification

    def __init__(self, dataset: str, tokenizer: Any, max_length: int) -> None:
        rows = {s: read_tsv(split_path(dataset, s)) for s in ("train", "dev", "test")}
        self.labels = sorted({row.label for row in rows["train"]})
        ids = {name: i for i, name in enumerate(self.labels)}
        self.splits = {
            split: [(pieces(tokenizer, row.text, max_length), ids[row.label]) for row in examples]
            for split, examples in rows.items()
        }

    def batch(self, rows: Sequence[Any]) -> Inputs:
        labels = torch.tensor([label for _, label in rows])
        return {**padded([input_ids for input_ids, _ in rows]), "labels": labels}

    def score(self, split: str, logits: list[np.ndarray]) -> float:
        right = [
            int(scores.argmax()) == label
            for (_, label), scores in zip(self.splits[split], logits, strict=True)
        ]
        return float(np.mean(right))


def pieces(tokenizer: Any, text: str, max_length: int) -> list[int]:
    """A text's word pieces."""
    return list(tokenizer(text, truncation=True, max_length=max_length)["input_ids"])


def pad(rows: Sequence[Sequence[int]], value: int) -> torch.Tensor:
    """(N, longest)"""
    longest = max(map(len, rows))
    return torch.tensor([[*row, *[value] * (longest - len(row))] for row in rows])


def padded(rows: Sequence[Sequence[int]]) -> Inputs:
    """Input ids and attention mask; [PAD] is 0 in every BERT vocabulary used here."""
    mask = pad([[1] * len(row) for row in rows], 0)
    return {"input_ids": pad(rows, 0), "attention_mask": mask}


def adapted_model(base: Path, task: Task, recipe: Recipe) -> Any:
    """The encoder with LoRA and a fresh head, both trainable, all else frozen."""
    model = task.auto_model.from_pretrained(
        base, num_labels=len(task.labels), dtype=torch.float32, local_files_only=True
    )
    config = LoraConfig(
        task_type=task.task_type,
        r=recipe.r,
        lora_alpha=recipe.alpha,
        lora_dropout=recipe.dropout,
        target_modules=recipe.targets.split(","),
        modules_to_save=["classifier"],
    )
    return get_peft_model(model, config)


def decay_groups(model: Any, weight_decay: float) -> list[dict[str, Any]]:
    """Weight decay for matrices, none for biases and layer norms."""
    learning = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in learning if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in learning if p.ndim == 1], "weight_decay": 0.0},
    ]


def schedule(recipe: Recipe, optimizer: Any, total: int) -> Any:
    """Transformers' warm-up and decay."""
    return transformers.get_scheduler(
        recipe.schedule,
        optimizer,
        num_warmup_steps=math.ceil(recipe.warmup * total),
        num_training_steps=total,
    )


def shuffled(rows: Sequence[Any], size: int, rng: np.random.Generator) -> Iterator[list[Any]]:
    """Every row once, in batches; the last may be smaller."""
    order = rng.permutation(len(rows))
    for start in range(0, len(rows), size):
        yield [rows[i] for i in order[start : start + size]]


def evaluate(model: Any, task: Task, split: str) -> float:
    """The task's score on a split."""
    model.eval()
    rows, logits = task.splits[split], []
    with torch.inference_mode():
        for start in range(0, len(rows), EVALUATION_BATCH):
            inputs = task.batch(rows[start : start + EVALUATION_BATCH])
            inputs.pop("labels")
            logits.extend(model(**inputs).logits.numpy())
    return task.score(split, logits)


def train(model: Any, task: Task, recipe: Recipe, seed: int) -> tuple[int, float]:
    """Train, put the best epoch's parameters back: that epoch (from 1) and its dev score."""
    rows, rng = task.splits["train"], np.random.default_rng(seed)
    learning = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(decay_groups(model, recipe.weight_decay), lr=recipe.lr)
    total = recipe.epochs * math.ceil(len(rows) / recipe.batch_size)
    scheduler = schedule(recipe, optimizer, total)
    best: tuple[int, float, dict[str, torch.Tensor]] = (0, -1.0, {})
    for epoch in range(1, recipe.epochs + 1):
        model.train()
        for batch in shuffled(rows, recipe.batch_size, rng):
            model(**task.batch(batch)).loss.backward()
            torch.nn.utils.clip_grad_norm_(learning, recipe.clip)
            optimizer.step()
            scheduler.step()
            optimizer.zero_grad()
        score = evaluate(model, task, "dev")
        print(f"  epoch {epoch}: dev {score:.4f}", file=sys.stderr)
        if score > best[1]:
            state = {k: v.clone() for k, v in get_peft_model_state_dict(model).items()}
            best = (epoch, score, state)
    set_peft_model_state_dict(model, best[2])
    return best[:2]


def run(dataset: str, seed: int, base: Path, recipe: Recipe) -> dict[str, Any]:
    """One training run: its settings, scores and seconds."""
    start = time.perf_counter()
    torch.manual_seed(seed)
    make: Callable[..., Task] = Tagging if TASKS[dataset] == "ner" else Classification
    task = make(dataset, load_tokenizer(base), recipe.max_length)
    model = adapted_model(base, task, recipe)
    epoch, dev_score = train(model, task, recipe, seed)
    return {
        "dataset": dataset,
        "seed": seed,
        "recipe": dataclasses.asdict(recipe),
        "best_epoch": epoch,
        "dev_score": dev_score,
        "score": evaluate(model, task, "test"),
        "seconds": time.perf_counter() - start,
    }


def main() -> None:
    """Run every data set with every seed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    Recipe.add_arguments(parser)
    parser.add_argument("--out", type=Path, help="append the JSON lines here as well")
    options = parser.parse_args()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(options.threads)
    for dataset in options.dataset:
        for seed in options.seeds:
            print(f"{dataset}, seed {seed}", file=sys.stderr)
            line = json.dumps(run(dataset, seed, options.base, Recipe.of(options)))
            print(line, flush=True)
            if options.out:
                with options.out.open("a") as file:
                    file.write(line + "\n")


if __name__ == "__main__":
    main()
