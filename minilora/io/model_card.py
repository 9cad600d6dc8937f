"""The ``README.md`` beside an adapter: what it is and how to use it."""

from __future__ import annotations

import json
import re
from pathlib import Path

from minilora.io.base_model import TINY
from minilora.nn import Module
from minilora.storage import replacing

CARD_FILE = "README.md"

_USAGE = (
    "Load it with minilora, `minilora.load_adapter(model, folder)`, or with PEFT, "
    "`PeftModel.from_pretrained(model, folder)`.\n"
)
_OURS = re.compile(
    r"---\nbase_model: .*\nlibrary_name: peft\ntags: \[lora, minilora\]\n---\n\n"
    r"# LoRA adapter\n\n(- .*\n)+\n" + re.escape(_USAGE)
)


def write_card(model: Module, base: str | None, folder: Path) -> None:
    """Write a card where there is none, or in the place of one of ours; a user's text stays.

    Raises
    ------
    OutputError
        It cannot be written.
    """
    if has_own_card(folder) or not (folder / CARD_FILE).exists():
        with replacing(folder / CARD_FILE) as file:
            file.write(model_card(model, base).encode())


def has_own_card(folder: Path) -> bool:
    """Whether ``folder`` has a card that `model_card` wrote and nobody added to since."""
    try:
        content = (folder / CARD_FILE).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    return _OURS.fullmatch(content) is not None


def model_card(model: Module, base: str | None) -> str:
    """A short card in Markdown, with the front matter by which the Hugging Face Hub files it."""
    adaptation = model.adaptation
    config = adaptation.config
    kinds = sorted({path.rsplit(".", 1)[-1] for path in adaptation.paths})
    lines = [
        "---",
        f"base_model: {json.dumps(base or '')}",
        "library_name: peft",
        "tags: [lora, minilora]",
        "---",
        "",
        "# LoRA adapter",
        "",
        f"- base model: {base or 'not said'}, {type(model).__name__}",
        f"- adapted: {len(adaptation.paths)} layers ({', '.join(kinds)})",
        f"- rank {config.r}, alpha {config.lora_alpha}, dropout {config.lora_dropout}",
        f"- trained whole: {', '.join(adaptation.saved_modules) or 'nothing'}",
    ]
    if labels := getattr(model, "label_names", None):
        lines.append(f"- labels: {', '.join(labels)}")
    if base == TINY:
        lines.append(
            f"- {TINY} comes with minilora; `minilora.base_folder({TINY!r})` is its folder, from "
            "which transformers loads it as well"
        )
    return "\n".join([*lines, "", _USAGE])
