"""Record what transformers computes with a tiny BERT: run ``python tests/golden/make_bert.py``.

Needs the extra [oracle]. Writes bert.npz beside this file: one set of random weights (rounded to
float32, so that they take half the room), one batch of packed sequences, and for each of three
heads the labels, logits, loss and every gradient, in float64, computed padded with eager attention.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np

SETTINGS = {
    "model_type": "bert",
    "vocab_size": 60,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 24,
    "type_vocab_size": 2,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
}
N_CLASSES = 5
LENGTHS = [7, 12, 1, 24, 5]
HEADS = ("token", "sequence", "word")


def main() -> None:
    """Write bert.npz."""
    import torch
    import transformers

    rng = np.random.default_rng(20181011)  # the day BERT went up on arXiv
    config = transformers.BertConfig(**SETTINGS, num_labels=N_CLASSES, attn_implementation="eager")
    models = {
        "token": transformers.BertForTokenClassification(config),
        "sequence": transformers.BertForSequenceClassification(config),
        "word": transformers.BertForMaskedLM(config),
    }
    batch = make_batch(rng)
    record: dict[str, np.ndarray] = {f"batch/{name}": array for name, array in batch.items()}
    for per, model in models.items():
        model.double().eval()
        for name, parameter in model.named_parameters():  # token and sequence share a classifier
            if f"weights/{name}" not in record:
                record[f"weights/{name}"] = draw(rng, name, tuple(parameter.shape))
            parameter.data = torch.from_numpy(record[f"weights/{name}"].astype(np.float64))
        labels = make_labels(rng, per)
        record |= {f"{per}/{k}": a for k, a in run(torch, model, batch, labels, per).items()}
        record[f"{per}/labels"] = labels
    versions = {m.__name__: m.__version__ for m in (torch, transformers, np)}
    record["about"] = np.array(
        json.dumps({"settings": SETTINGS, "versions": versions, "script": fingerprint()})
    )
    np.savez_compressed(Path(__file__).with_name("bert.npz"), **record)


def fingerprint() -> str:
    """SHA-256 of this script, which a file made by another version of it does not have."""
    return hashlib.sha256(Path(__file__).read_bytes()).hexdigest()


def draw(rng: np.random.Generator, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Weights large enough that every nonlinearity bends, biases and layer norms off 0 and 1."""
    centre = 1.0 if name.endswith("LayerNorm.weight") else 0.0
    return (centre + 0.3 * rng.standard_normal(shape)).astype(np.float32)


def make_batch(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Packed sequences, each a pair cut at a random place."""
    T = sum(LENGTHS)
    cuts = [rng.integers(0, n + 1) for n in LENGTHS]
    types = [np.arange(n) >= cut for n, cut in zip(LENGTHS, cuts, strict=True)]
    return {
        "input_ids": rng.integers(1, SETTINGS["vocab_size"], T),  # torch never trains row 0, [PAD]
        "position_ids": np.concatenate([np.arange(n) for n in LENGTHS]),
        "token_type_ids": np.concatenate(types).astype(np.int64),
        "offsets": np.concatenate([[0], np.cumsum(LENGTHS)]),
    }


def make_labels(rng: np.random.Generator, per: str) -> np.ndarray:
    """A label a sequence; or a label a token, some -100."""
    if per == "sequence":
        return rng.integers(0, N_CLASSES, len(LENGTHS))
    n_classes, share = (N_CLASSES, 0.8) if per == "token" else (SETTINGS["vocab_size"], 0.3)
    T = sum(LENGTHS)
    return np.where(rng.random(T) < share, rng.integers(0, n_classes, T), -100)


def run(torch, model, batch, labels, per) -> dict[str, np.ndarray]:
    """One padded forward and backward pass; results packed again."""
    mask = np.arange(max(LENGTHS)) < np.array(LENGTHS)[:, None]  # (N, L)

    def padded(packed: np.ndarray, filler: int):
        out = np.full(mask.shape, filler)
        out[mask] = packed
        return torch.from_numpy(out)

    out = model(
        input_ids=padded(batch["input_ids"], 0),
        token_type_ids=padded(batch["token_type_ids"], 0),
        attention_mask=torch.from_numpy(mask.astype(np.int64)),
        labels=torch.from_numpy(labels) if per == "sequence" else padded(labels, -100),
        output_hidden_states=True,
    )
    out.loss.backward()
    logits = out.logits.detach().numpy()
    found = {
        "logits": logits if per == "sequence" else logits[mask],
        "loss": out.loss.detach().numpy(),
    }
    if per == "token":
        found["hidden"] = np.stack([h.detach().numpy()[mask] for h in out.hidden_states])
    return found | {f"grads/{n}": p.grad.numpy() for n, p in model.named_parameters()}


if __name__ == "__main__":
    main()
