"""``minilora merge``: an adapter and its base become one plain model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minilora._types import Array
from minilora.adapters import merge
from minilora.autograd import no_grad
from minilora.cli.console import Console
from minilora.cli.folders import new_folder
from minilora.cli.machine import ready_kernels
from minilora.cli.models import MODELS
from minilora.cli.parser import Parser
from minilora.cli.trained import Trained, add_model_options, load
from minilora.errors import ConfigError
from minilora.io import save_pretrained
from minilora.text import Batch
from minilora.text.counting import count

PROBE = "Anna Vale moved from Lund to the Institute of Applied Optics in 1987, didn't she?"
TOLERANCE = 1e-4
"""Relative to the largest logit. Merging rounds W + s B A once more, about 1e-7 a weight."""

EPILOG = """\
examples:
  minilora merge --adapter runs/ner --out models/ner
  minilora predict --adapter models/ner "Anna Vale works in Lund."

The folder is one that transformers loads: AutoModelForTokenClassification.from_pretrained(...)."""


def run(words: Sequence[str]) -> int:
    """Write the merged model; 0 if it computes what the adapter did, else 1."""
    parser = Parser(
        "minilora merge",
        usage="--adapter DIR --out DIR [options]",
        description="Fold an adapter into its base, and write a plain Hugging Face folder.",
        epilog=EPILOG,
    )
    add_model_options(parser, adapter="run folder or PEFT adapter")
    parser.add_argument("--out", metavar="DIR", required=True, help="new folder for the model")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")
    options = parser.parse(words)
    console = Console(as_json=options.json)

    out = new_folder(options.out)
    trained = load(options, console)
    if trained.model.adaptation is None:
        raise ConfigError(
            f"--adapter: {options.adapter or options.base} holds a whole model, in which there is "
            "nothing to merge; expected an adapter folder"
        )
    ready_kernels()
    n_adapted = len(trained.model.adaptation.paths)
    before = _logits(trained, trained.model)
    merge(trained.model)
    save_pretrained(trained.model, out, tokenizer_from=trained.base, max_length=trained.max_length)
    after = _logits(trained, MODELS[trained.task].from_pretrained(out))
    difference, scale = float(np.abs(after - before).max()), float(np.abs(before).max())
    right = difference <= TOLERANCE * scale
    console.say(
        f"merged {count(n_adapted, 'adapted layer')} into {out}",
        f"read back, its logits on a probe sentence differ by {difference:.1e} at most "
        f"(they go up to {scale:.2g}): {'rounding' if right else 'more than rounding explains'}",
    )
    console.finish(
        {
            "command": "merge",
            "out": str(out),
            "n_adapted": n_adapted,
            "largest_difference": difference,
            "largest_logit": scale,
            "passed": right,
        }
    )
    return 0 if right else 1


def _logits(trained: Trained, model: Any) -> Array:
    batch = Batch.pack([trained.tokenizer(PROBE, max_length=trained.max_length)])
    with no_grad():
        logits: Array = model(batch).data
    return logits
