"""Which classes a classifier has: those asked for, or those of the checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from minilora._types import Array
from minilora.errors import CheckpointError, ConfigError
from minilora.nn.pretrained import Checkpoint

_WEIGHT, _BIAS = "classifier.weight", "classifier.bias"
_SINGLE_LABEL = "single_label_classification"


def checked_labels(labels: Sequence[str]) -> tuple[str, ...]:
    """The class names, if they can be told apart.

    Raises
    ------
    ConfigError
        Fewer than two, one that is no text or empty, or the same one twice.
    """
    names = tuple(labels)
    if isinstance(labels, str) or not all(names) or {*map(type, names)} != {str}:
        raise ConfigError(f"labels: got {labels!r}; expected names such as ['O', 'B-PER'].")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or len(names) < 2:
        problem = f"{', '.join(twice)} twice" if twice else f"{len(names)} of them"
        raise ConfigError(f"labels: got {problem}; expected at least two, all different.")
    return names


def settle_labels(
    checkpoint: Checkpoint, labels: Sequence[str] | None
) -> tuple[tuple[str, ...], Checkpoint]:
    """The class names to use, and the checkpoint with a classifier made to fit them.

    Raises
    ------
    ConfigError
        ``labels`` is None and the checkpoint has no classifier.
    CheckpointError
        The checkpoint's classifier is one for regression or for several labels at once.
    """
    head = checkpoint.tensors.get(_WEIGHT)
    _check_problem_type(checkpoint)
    if labels is None:
        if head is None:
            raise ConfigError(
                f"from_pretrained: {checkpoint.folder} has no classifier; pass labels=, the names "
                "of the classes to learn."
            )
        return _own_names(checkpoint, head), checkpoint
    names = checked_labels(labels)
    if head is None:
        return names, checkpoint
    own = _own_names(checkpoint, head)
    if len(names) != len(own):  # as transformers does with ignore_mismatched_sizes
        return names, _without_classifier(checkpoint)
    if {*names} == {*own} and names != own:
        return names, _reordered(checkpoint, [own.index(name) for name in names])
    return names, checkpoint


def _own_names(checkpoint: Checkpoint, head: Array) -> tuple[str, ...]:
    """The config's names; without any, the ones transformers makes up."""
    return checkpoint.config.label_names or tuple(f"LABEL_{i}" for i in range(len(head)))


def _without_classifier(checkpoint: Checkpoint) -> Checkpoint:
    kept = {n: a for n, a in checkpoint.tensors.items() if n not in {_WEIGHT, _BIAS}}
    return replace(checkpoint, tensors=kept)


def _reordered(checkpoint: Checkpoint, rows: list[int]) -> Checkpoint:
    heads = {n: a[rows] for n, a in checkpoint.tensors.items() if n in {_WEIGHT, _BIAS}}
    return replace(checkpoint, tensors=checkpoint.tensors | heads)


def _check_problem_type(checkpoint: Checkpoint) -> None:
    kind = checkpoint.config.extra.get("problem_type")
    if kind not in {None, _SINGLE_LABEL}:
        raise CheckpointError(
            f"{checkpoint.folder / 'config.json'}: problem_type is {kind!r}, expected "
            f"{_SINGLE_LABEL!r} or none; choose a model that picks one class, or its encoder."
        )
