"""The settings of a BERT, as ``config.json`` holds them, checked."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple, Self

from minilora.errors import CheckpointError, ConfigError
from minilora.files import read_json
from minilora.nn.layers import ACTIVATIONS


@dataclass(frozen=True, kw_only=True)
class BertConfig:
    """Sizes and settings of a BERT encoder; names and defaults are those of transformers.

    Attributes
    ----------
    vocab_size, hidden_size, num_hidden_layers, num_attention_heads, intermediate_size
        V, D, number of layers, H, F; D must be a multiple of H.
    hidden_act
        ``gelu`` (erf), ``gelu_new`` or ``gelu_pytorch_tanh`` (both the tanh form), or ``relu``.
    hidden_dropout_prob, attention_probs_dropout_prob, classifier_dropout
        Dropout probabilities; ``classifier_dropout`` None means ``hidden_dropout_prob``.
    max_position_embeddings, type_vocab_size
        Longest sequence in tokens; number of token types.
    initializer_range
        Standard deviation of weights that start at random.
    layer_norm_eps
        ε of every layer norm.
    tie_word_embeddings
        Whether the masked-LM decoder is the table of word embeddings.
    id2label
        The class names, by number; None where the model has no classifier.
    extra
        Everything else the file held, kept so that it can be written back.

    Raises
    ------
    ConfigError
        Listing every setting that cannot be used, with its value and what was expected.
    """

    vocab_size: int
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    hidden_act: str = "gelu"
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    classifier_dropout: float | None = None
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    initializer_range: float = 0.02
    layer_norm_eps: float = 1e-12
    tie_word_embeddings: bool = True
    id2label: Mapping[int, str] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        settings = {f.name: getattr(self, f.name) for f in fields(self)}
        if problems := _problems({**self.extra, **settings}):
            raise ConfigError(f"BertConfig: {'; '.join(problems)}; correct these settings.")

    @classmethod
    def from_json(cls, source: Path | str | Mapping[str, Any]) -> Self:
        """Read a ``config.json``: from its path, or as the object it holds.

        Raises
        ------
        CheckpointError
            When the file cannot be read, or listing every setting that is missing or cannot be
            used: a model that is no plain BERT encoder is refused here.
        """
        if isinstance(source, Mapping):
            where, content = "config.json", dict(source)
        else:
            where, content = str(source), read_json(Path(source), "the model's config")
        if problems := _problems(content):
            raise CheckpointError(
                f"{where}: {'; '.join(problems)}; choose the folder of a BERT encoder, or correct "
                "these settings."
            )
        known = {f.name for f in fields(cls)} - {"id2label", "extra"}
        return cls(
            **{name: value for name, value in content.items() if name in known},
            id2label=_id2label(content),
            extra={k: v for k, v in content.items() if k not in known | _DERIVED},
        )

    def to_dict(self) -> dict[str, Any]:
        """What ``config.json`` holds: `extra` with these settings over it."""
        content = dict(self.extra) | {"model_type": "bert"}
        content |= {f.name: getattr(self, f.name) for f in fields(self) if f.name not in _NOT_PLAIN}
        if self.id2label is not None:
            content["id2label"] = {str(i): name for i, name in self.id2label.items()}
            content["label2id"] = {name: i for i, name in self.id2label.items()}
        return content

    @property
    def label_names(self) -> tuple[str, ...] | None:
        """The class names in order, or None."""
        return None if self.id2label is None else tuple(self.id2label.values())


_NOT_PLAIN = {"id2label", "extra"}
_DERIVED = {"id2label", "label2id", "num_labels", "model_type"}


class _Rule(NamedTuple):
    """What a setting may be, for the computer and in words."""

    allows: Callable[[Any], bool]
    expected: str


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value: Any) -> bool:
    return (_whole(value) or isinstance(value, float)) and math.isfinite(value)


def _one_of(*values: Any) -> _Rule:
    return _Rule(lambda v: v in values, " or ".join(repr(value) for value in values))


_COUNT = _Rule(lambda v: _whole(v) and v >= 1, "a whole number from 1 up")
_POSITIVE = _Rule(lambda v: _number(v) and v > 0, "a number above 0")
_NOT_NEGATIVE = _Rule(lambda v: _number(v) and v >= 0, "a number from 0 up")
_PROBABILITY = _Rule(lambda v: _number(v) and 0 <= v < 1, "a number from 0 up to below 1")

_SIZES = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
)
_REQUIRED = dict.fromkeys(_SIZES, _COUNT)
_OPTIONAL = {
    "model_type": _one_of("bert"),
    "position_embedding_type": _one_of("absolute"),
    "is_decoder": _one_of(False),
    "add_cross_attention": _one_of(False),
    "hidden_act": _one_of(*ACTIVATIONS),
    "hidden_dropout_prob": _PROBABILITY,
    "attention_probs_dropout_prob": _PROBABILITY,
    "classifier_dropout": _Rule(
        lambda v: v is None or _PROBABILITY.allows(v), f"null or {_PROBABILITY.expected}"
    ),
    "max_position_embeddings": _COUNT,
    "type_vocab_size": _COUNT,
    "initializer_range": _NOT_NEGATIVE,
    "layer_norm_eps": _POSITIVE,
    "tie_word_embeddings": _one_of(True, False),
    "num_labels": _COUNT,
    "id2label": _Rule(lambda v: v is None or _is_numbered(v), 'names by number, {"0": "O", ...}'),
}


def _problems(content: Mapping[str, Any]) -> list[str]:
    """Every setting that is missing or cannot be used, in words."""
    found = [
        f"{name} is missing, expected {rule.expected}"
        for name, rule in _REQUIRED.items()
        if name not in content
    ]
    found += [
        f"{name} is {content[name]!r}, expected {rule.expected}"
        for name, rule in (_REQUIRED | _OPTIONAL).items()
        if name in content and not rule.allows(content[name])
    ]
    if not found and content["hidden_size"] % content["num_attention_heads"]:
        found.append(
            f"hidden_size is {content['hidden_size']}, expected a multiple of "
            f"num_attention_heads, which is {content['num_attention_heads']}"
        )
    return found


def _is_numbered(names: Any) -> bool:
    """Whether the keys are 0, 1, 2, ... (as JSON's strings or as ints) and the values distinct."""
    if not isinstance(names, Mapping) or not all(isinstance(n, str) for n in names.values()):
        return False
    numbers = {str(i) for i in range(len(names))}
    return {str(key) for key in names} == numbers and len({*names.values()}) == len(names)


def _id2label(content: Mapping[str, Any]) -> dict[int, str] | None:
    if names := content.get("id2label"):
        return {int(i): names[i] for i in sorted(names, key=int)}
    if "num_labels" in content:
        return {i: f"LABEL_{i}" for i in range(content["num_labels"])}  # as transformers does
    return None
