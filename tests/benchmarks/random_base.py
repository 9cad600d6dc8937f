"""Encoders with random weights: the sizes of a model that nobody needs to download to time it.

    python tests/benchmarks/random_base.py --shape bert-base --vocabulary-of DIR --out random-base

The word pieces are those of another encoder, so the same texts become the same tokens.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from corpora import default_base

from minilora import BertConfig, BertModel
from minilora.storage import write_json, write_tensors

SHAPES: dict[str, dict[str, Any]] = {
    "bert-base": {  # Devlin et al. 2019
        "hidden_size": 768,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "intermediate_size": 3072,
    },
    "bert-base-3": {  # a quarter of its layers: the same width, for little memory and time
        "hidden_size": 768,
        "num_hidden_layers": 3,
        "num_attention_heads": 12,
        "intermediate_size": 3072,
    },
    "smallest": {
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
    },
}
VOCABULARY_FILES = ("vocab.txt", "tokenizer.json", "tokenizer_config.json")


def make_base(folder: Path, shape: str, vocabulary_of: Path) -> Path:
    """Write config.json, model.safetensors (float32) and the other encoder's vocabulary."""
    known = json.loads((vocabulary_of / "config.json").read_text(encoding="utf-8"))
    kept = {name: known[name] for name in ("vocab_size", "max_position_embeddings")}
    config = BertConfig(**kept, **SHAPES[shape])
    model = BertModel(config, rng=np.random.default_rng(0))
    folder.mkdir(parents=True)
    write_tensors(folder / "model.safetensors", model.state_dict(), metadata={"format": "pt"})
    write_json(folder / "config.json", config.to_dict() | {"architectures": ["BertModel"]})
    for name in VOCABULARY_FILES:
        if (vocabulary_of / name).exists():
            shutil.copyfile(vocabulary_of / name, folder / name)
    return folder


def main() -> None:
    """Make one."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    base = default_base()
    parser.add_argument("--shape", choices=SHAPES, default="bert-base")
    parser.add_argument("--vocabulary-of", type=Path, default=base, required=base is None)
    parser.add_argument("--out", type=Path, required=True, help="new folder")
    options = parser.parse_args()
    print(make_base(options.out, options.shape, options.vocabulary_of))


if __name__ == "__main__":
    main()
