"""Put adapters into a model, and take them out or fold them in again."""

from __future__ import annotations

from dataclasses import dataclass

from minilora._types import Array, Rng
from minilora.adapters.base import AdaptedLinear
from minilora.adapters.config import LoraConfig
from minilora.adapters.lora import LoRALinear
from minilora.adapters.selection import Selection, select
from minilora.errors import TargetError
from minilora.nn import Linear, Module, Parameter


@dataclass(frozen=True)
class Adaptation:
    """What `inject` did to a model, so that it can be saved and undone.

    Attributes
    ----------
    config
        As given.
    paths
        The layers that carry an adapter, in the model's order.
    saved_modules
        The modules trained whole.
    originals
        Base values of the base's own parameters that are trained: modules_to_save and biases.
    trained_before
        Names of the parameters that were trained before.
    """

    config: LoraConfig
    paths: tuple[str, ...]
    saved_modules: tuple[str, ...]
    originals: dict[str, Array]
    trained_before: frozenset[str]


def inject(
    model: Module,
    config: LoraConfig,
    *,
    rng: Rng,
    adapter: type[AdaptedLinear] = LoRALinear,
    strict: bool = True,
) -> list[str]:
    """Adapt the layers that ``config`` selects, and freeze all the rest.

    Trained from now on are the adapters, whole the modules in ``config.modules_to_save``, and the
    biases that ``config.bias`` names. `model.adaptation` remembers what was there before.

    Parameters
    ----------
    model
        A model without adapters; changed in place.
    config
        What to adapt and how.
    rng
        Source of the adapters' random start.
    adapter
        The class of adapter, one of `ADAPTERS` or your own.
    strict
        Refuse every part of ``config`` that matches nothing; False as PEFT, which minds only when
        no layer at all matches.

    Returns
    -------
    The paths that were adapted, in the model's order.

    Raises
    ------
    TargetError
        When nothing matches (with a suggestion), when what matches is no Linear, or when the model
        carries adapters already. Whatever is raised, the model is then as it was.
    """
    if model.adaptation is not None:
        raise TargetError(
            f"inject: the model already carries adapters, on {len(model.adaptation.paths)} layers; "
            "expected a model without; merge(model) or eject(model) first."
        )
    selection = select(model, config, strict=strict)
    parameters = dict(model.named_parameters())
    trained = _base_parameters_to_train(config, selection, parameters)
    adaptation = Adaptation(
        config=config,
        paths=selection.targets,
        saved_modules=selection.saved,
        originals={name: parameters[name].data.copy() for name in trained},
        trained_before=frozenset(name for name, p in parameters.items() if p.requires_grad),
    )
    targets = {
        path: module
        for path, module in model.named_modules()
        if path in selection.targets and isinstance(module, Linear)
    }
    try:
        layers = {p: adapter(m, config, path=p, rng=rng) for p, m in targets.items()}
    except BaseException:  # a class of one's own may raise anything, having frozen its layer
        _thaw(parameters, adaptation)
        raise
    model.adaptation = adaptation
    model.freeze()
    for path, layer in layers.items():
        model.replace(path, layer)
    for name in trained:
        parameters[name].requires_grad_(True)
    return list(selection.targets)


def eject(model: Module) -> None:
    """Take all adapters out: the base model, bit for bit, as it was before `inject`.

    Raises
    ------
    TargetError
        When the model carries no adapters.
    """
    adaptation = _take_adaptation(model, "eject")
    for path, layer in _adapted(model):
        model.replace(path, layer.eject())
    parameters = dict(model.named_parameters())
    for name, original in adaptation.originals.items():
        parameters[name].data = original
    _thaw(parameters, adaptation)


def merge(model: Module) -> None:
    """Fold all adapters into plain layers that compute the same.

    What was trained whole (modules_to_save, biases) stays as it is now.

    Raises
    ------
    TargetError
        When the model carries no adapters.
    """
    adaptation = _take_adaptation(model, "merge")
    for path, layer in _adapted(model):
        model.replace(path, layer.merge())
    _thaw(dict(model.named_parameters()), adaptation)


def _base_parameters_to_train(
    config: LoraConfig, selection: Selection, parameters: dict[str, Parameter]
) -> list[str]:
    inside = tuple(f"{path}." for path in selection.saved)
    trained = {name for name in parameters if name.startswith(inside)}
    if config.bias == "all":
        trained |= {name for name in parameters if name == "bias" or name.endswith(".bias")}
    if config.bias == "lora_only":
        trained |= {f"{path}.bias" for path in selection.targets} & parameters.keys()
    return [name for name in parameters if name in trained]


def _take_adaptation(model: Module, who: str) -> Adaptation:
    adaptation: Adaptation | None = model.adaptation
    if adaptation is None:
        raise TargetError(
            f"{who}: the model carries no adapters; expected one that inject(model, config) or "
            "load_adapter(model, folder) has adapted."
        )
    model.adaptation = None
    return adaptation


def _adapted(model: Module) -> list[tuple[str, AdaptedLinear]]:
    return [(path, m) for path, m in model.named_modules() if isinstance(m, AdaptedLinear)]


def _thaw(parameters: dict[str, Parameter], adaptation: Adaptation) -> None:
    """Train what was trained before the adapters came."""
    for name, parameter in parameters.items():
        parameter.grad = None
        parameter.requires_grad_(name in adaptation.trained_before)
