"""The ``README.md`` beside an adapter: what it is and how to use it."""

from __future__ import annotations

import json

from minilora.io.base_model import TINY
from minilora.nn import Module

_WHERE_TINY_IS = (
    f"The base, `{TINY}`, is the encoder that comes with minilora; "
    f"`minilora.base_folder({TINY!r})` is its folder, from which transformers loads it too."
)


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
    lines += [
        "",
        "Load it with minilora, `minilora.load_adapter(model, folder)`, or with PEFT, "
        "`PeftModel.from_pretrained(model, folder)`.",
    ]
    if base == TINY:
        lines += ["", _WHERE_TINY_IS]
    return "\n".join([*lines, ""])
