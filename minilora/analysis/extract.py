"""LoRA from two full checkpoints: what fine-tuning changed, at low rank."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from minilora._types import Array, Rng
from minilora.adapters import LowRankUpdate
from minilora.adapters.matching import names_end
from minilora.analysis.inspect import LARGEST_DENSE
from minilora.analysis.rank_rules import RankRule
from minilora.analysis.resize import check_max_rank
from minilora.analysis.weights import find_tensor
from minilora.errors import CheckpointError, TargetError, did_you_mean
from minilora.linalg import SVD, Weighting, one_blas_thread, randomized_svd, svd, truncation_error
from minilora.nn.fit import normalised

_EMBEDDING_WORDS = ("embed", "wte", "wpe")
"""Parts of names by which embeddings are told from linear layers, which have the same shape."""


@dataclass(frozen=True, kw_only=True)
class ExtractedLayer:
    """One layer: ``size`` is ‖ΔW‖_F before it was cut, ``error`` ‖ΔW − ΔW_k‖_F / ‖ΔW‖_F."""

    path: str
    rank: int
    size: float
    error: float
    n_parameters: int


@dataclass(frozen=True, eq=False, kw_only=True)
class Extracted:
    """What `extract` found; the names of its fields are arguments of `minilora.io.new_updates`.

    Attributes
    ----------
    updates, layers
        The low-rank updates, of scale 1, and what each leaves out.
    embeddings
        Paths of the updates that are of embeddings.
    modules_to_save
        Modules that are taken over whole, since the base has none or as asked.
    others
        Their tensors, and with ``biases`` all biases, by their names in a PEFT file.
    left_out
        Tensors that changed and are in none of these, with ‖change‖_F / ‖base‖_F.
    """

    updates: tuple[LowRankUpdate, ...]
    layers: tuple[ExtractedLayer, ...]
    embeddings: tuple[str, ...]
    modules_to_save: tuple[str, ...]
    others: dict[str, Array]
    left_out: dict[str, float]


@dataclass(eq=False)
class _Findings:
    updates: list[LowRankUpdate] = field(default_factory=list)
    layers: list[ExtractedLayer] = field(default_factory=list)
    whole: dict[str, Array] = field(default_factory=dict)
    biases: dict[str, Array] = field(default_factory=dict)
    left_out: dict[str, float] = field(default_factory=dict)
    other_matrices: list[str] = field(default_factory=list)


@one_blas_thread()
def extract(
    base: Mapping[str, Array],
    tuned: Mapping[str, Array],
    rule: RankRule,
    *,
    targets: Collection[str] | None = None,
    modules_to_save: Collection[str] = (),
    biases: bool = False,
    max_rank: int | None = None,
    weighting: Weighting = "both",
    rng: Rng | None = None,
    on_layer: Callable[[ExtractedLayer], None] | None = None,
) -> Extracted:
    """W_tuned − W ≈ B A for every weight that fine-tuning changed.

    By the best approximation of the rank that ``rule`` finds; α = r, so the scale is 1.

    Parameters
    ----------
    base, tuned
        Tensors by name. Each is asked for once and let go, so mappings that read from files need
        memory for one weight of both.
    rule
        How many directions each layer keeps.
    targets
        Names that the paths of the layers to extract end in, such as ``["query", "value"]``, with
        embeddings if they are named; default: all changed matrices but embeddings.
    modules_to_save
        Modules to take over whole. Those that the base lacks, such as a new head, always are.
    biases
        Take over all biases as well: ``bias="all"`` of PEFT.
    max_rank
        No layer keeps more than this.
    weighting
        Which factor carries the singular values: "both" the root each, as mergekit has it, "left" B
        (PEFT's convert_to_lora, kohya), "right" A.
    rng
        Source of the sketches by which a fixed rank is taken out of large matrices; default: a
        fixed seed. Other rules decompose every matrix whole.
    on_layer
        Called with each layer when it is done.

    Raises
    ------
    CheckpointError
        When nothing changed that could be extracted, a weight has another shape in the two or is
        not finite, or the tuned model has a tensor outside any module.
    TargetError
        When one of ``targets`` matches nothing that changed.
    ConfigError
        When the rule's number makes no sense, or ``max_rank`` is below 1.
    """
    check_max_rank(max_rank)
    cut = _Cut(rule, max_rank, weighting, np.random.default_rng(0) if rng is None else rng)
    names = {normalised(name): name for name in base}
    found = _Findings()
    for name in tuned:
        path, _, last = name.rpartition(".")
        new = tuned[name]
        if new.dtype.kind != "f":  # a buffer, such as position_ids
            continue
        there = find_tensor(names.keys(), normalised(name))
        if there is None or any(names_end(path, module) for module in modules_to_save):
            if not path:
                raise CheckpointError(
                    f"extract: {name} is a tensor outside any module, which the base lacks; an "
                    "adapter holds parameters of modules only. Leave it out of the tuned model."
                )
            found.whole[name] = new
            continue
        old = base[names[there]]
        _check(name, old, new)
        if last == "bias" and biases:
            found.biases[name] = new
        elif np.array_equal(old, new):
            continue
        elif last == "weight" and _is_target(path, new, targets):
            update, layer = cut(path, old, new)
            found.updates.append(update)
            found.layers.append(layer)
            if on_layer is not None:
                on_layer(layer)
        else:
            found.left_out[name] = _relative_change(old, new)
            found.other_matrices += [path] if last == "weight" and new.ndim == 2 else []
    _refuse_idle(targets, found)
    return _collect(found)


def _collect(found: _Findings) -> Extracted:
    adapted = {update.path for update in found.updates}
    others = dict(found.whole)
    for name, array in found.biases.items():
        path = name.removesuffix(".bias")
        others[f"{path}.base_layer.bias" if path in adapted else name] = array
    return Extracted(
        updates=tuple(found.updates),
        layers=tuple(found.layers),
        embeddings=tuple(path for path in adapted if _is_embedding(path)),
        modules_to_save=tuple(dict.fromkeys(name.rpartition(".")[0] for name in found.whole)),
        others=others,
        left_out=found.left_out,
    )


@dataclass(frozen=True)
class _Cut:
    """How differences become updates."""

    rule: RankRule
    max_rank: int | None
    weighting: Weighting
    rng: Rng

    def __call__(self, path: str, old: Array, new: Array) -> tuple[LowRankUpdate, ExtractedLayer]:
        X = np.subtract(new, old, dtype=np.float64)
        transposed = _is_embedding(path)
        X = X.T if transposed else X  # (O, I)
        size = float(np.linalg.norm(X))
        found = self._decompose(X)
        k = min(self.rule.rank(found.S, X.shape), self.max_rank or len(found.S))
        if len(found.S) == min(X.shape):
            lost = truncation_error(found.S, k)[0] / size
        else:
            lost = math.sqrt(max(0.0, 1 - (float(np.linalg.norm(found.S[:k])) / size) ** 2))
        B, A = found.truncate(k).factors(self.weighting)
        dtype = np.result_type(new, np.float32)
        update = LowRankUpdate(path, B.astype(dtype), A.astype(dtype), 1.0, transposed)
        n = update.n_parameters
        return update, ExtractedLayer(path=path, rank=k, size=size, error=lost, n_parameters=n)

    def _decompose(self, X: Array) -> SVD:
        if self.rule.name == "rank" and min(X.shape) > LARGEST_DENSE:
            wanted = self.rule.rank(np.ones(min(X.shape)), X.shape)
            return randomized_svd(X, wanted, rng=self.rng)
        return svd(X)


def _is_target(path: str, W: Array, targets: Collection[str] | None) -> bool:
    if W.ndim != 2:
        return False
    if targets is None:
        return not _is_embedding(path)
    return any(names_end(path, target) for target in targets)


def _is_embedding(path: str) -> bool:
    return any(word in path.rpartition(".")[2] for word in _EMBEDDING_WORDS)


def _relative_change(old: Array, new: Array) -> float:
    size = float(np.linalg.norm(old.astype(np.float64)))
    change = float(np.linalg.norm(np.subtract(new, old, dtype=np.float64)))
    return change / size if size > 0 else math.inf


def _check(name: str, old: Array, new: Array) -> None:
    if old.shape != new.shape:
        raise CheckpointError(
            f"extract: {name} is {new.shape} in the tuned model, {old.shape} in the base; expected "
            "the base that it was tuned from. If the vocabulary has grown, name the module in "
            "modules_to_save."
        )
    for whose, array in (("base", old), ("tuned model", new)):
        if not np.isfinite(array).all():
            raise CheckpointError(
                f"extract: {name} of the {whose} has entries that are NaN or infinite; expected a "
                "model whose training did not diverge."
            )


def _refuse_idle(targets: Iterable[str] | None, found: _Findings) -> None:
    paths = [update.path for update in found.updates]
    ends = {path.rpartition(".")[2] for path in paths + found.other_matrices}
    for target in targets or ():
        if not any(names_end(path, target) for path in paths):
            raise TargetError(
                f"extract: no matrix that changed is called {target!r}.{did_you_mean(target, ends)}"
            )
    if not found.updates:
        raise CheckpointError(
            f"extract: no matrix changed between the two models ({len(found.left_out)} other "
            "tensors did); expected a base and a model that was fine-tuned from it."
        )
