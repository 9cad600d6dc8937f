"""What predict and evaluate share: how fast they go, and on what model."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from tqdm import tqdm

from minilora.adapters import merge
from minilora.cli.parser import whole_number
from minilora.cli.trained import Trained
from minilora.text import Corpus, Dataset, Example, encode_corpus

BAR = "{percentage:3.0f} %  {bar:24}  {n_fmt} of {total_fmt} texts  {remaining} left"
BAR_WITHOUT_END = "{n_fmt} texts  {elapsed}"


def add_inference_options(group: argparse._ActionsContainer) -> None:
    """Add what inference needs to know besides the model."""
    group.add_argument(
        "--batch-size",
        type=whole_number,
        default=32,
        metavar="N",
        help="texts at a time (default 32)",
    )
    group.add_argument(
        "--threads",
        type=whole_number,
        metavar="N",
        help="cores to use (default: MINILORA_THREADS, else all)",
    )
    group.add_argument(
        "--unmerged",
        action="store_true",
        help="keep the adapter beside its base (default: fold it in, which is faster and changes "
        "logits by rounding only)",
    )


def ready_model(trained: Trained, options: argparse.Namespace) -> Any:
    """The model to ask: its adapters folded in, unless ``options`` say otherwise.

    That saves two thin products a layer, and costs no accuracy: on MiniLM with stirred adapters of
    rank 8 float32 logits (up to 10) change by 7e-6 at most, and both ways are 6e-6 from float64.
    """
    if trained.model.adaptation is not None and not options.unmerged:
        merge(trained.model)
    return trained.model


def encode(corpus: Corpus, trained: Trained) -> Dataset:
    """The corpus as the model sees it."""
    return encode_corpus(
        corpus, trained.tokenizer, trained.model.label_names, max_length=trained.max_length
    )


def unlike_training(corpus: Corpus, trained: Trained) -> str | None:
    """What to note if there are single texts where the model learned from pairs, or the reverse."""
    pairs = trained.pairs
    forms = [row.text_pair is not None for row in corpus.rows if isinstance(row, Example)]
    if pairs is None or all(form == pairs for form in forms):
        return None
    came, learned = ("single texts", "pairs") if pairs else ("pairs of texts", "single ones")
    wanted = "text_a and text_b" if pairs else "text"
    return (
        f"there are {came}, but the model was trained on {learned}: what it says of them means "
        f"little; it expects files with {wanted}"
    )


def text_bar(total: int | None, *, hidden: bool = False) -> tqdm[Any]:
    """A progress bar on standard error, if that is a terminal and it is not to be ``hidden``."""
    return tqdm(
        total=total,
        file=sys.stderr,
        disable=hidden or not sys.stderr.isatty(),
        leave=False,
        bar_format=BAR if total else BAR_WITHOUT_END,
    )
