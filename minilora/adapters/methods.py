"""Ways to fine-tune: which parameters of a model are trained."""

from __future__ import annotations

from minilora._types import Rng
from minilora.adapters.config import LoraConfig
from minilora.adapters.inject import inject
from minilora.errors import ConfigError, did_you_mean
from minilora.nn import Module

METHODS = ("lora", "full", "head", "bitfit")
HEADS = ("classifier.", "cls.")


def prepare(model: Module, method: str, *, config: LoraConfig | None = None, rng: Rng) -> list[str]:
    """Get ``model`` ready to be fine-tuned by ``method``.

    ==========  ==================================================================================
    lora        adapters where ``config`` says, with its modules_to_save and biases (`inject`)
    full        everything
    head        the output head alone: the encoder gives fixed features
    bitfit      all biases, and the head (Ben Zaken et al. 2021, arXiv:2106.10199)
    ==========  ==================================================================================

    Parameters
    ----------
    model
        A model without adapters; changed in place.
    method
        One of the words above.
    config
        For ``"lora"``, and only there; None is ``LoraConfig()``.
    rng
        Source of an adapter's random start.

    Returns
    -------
    Names of the parameters that are trained now.

    Raises
    ------
    ConfigError
        When the method is unknown, or the model has no head to train.
    TargetError
        As `inject`.
    """
    if method not in METHODS:
        raise ConfigError(f"method: {method!r} is no way to train.{did_you_mean(method, METHODS)}")
    if config is not None and method != "lora":
        raise ConfigError(f"method: {method!r} takes no LoraConfig; only 'lora' adapts layers.")
    if method == "lora":
        inject(model, LoraConfig() if config is None else config, rng=rng)
    else:
        _train_only(model, method)
    return [name for name, parameter in model.named_parameters() if parameter.requires_grad]


def _train_only(model: Module, method: str) -> None:
    parameters = dict(model.named_parameters())
    head = {name for name in parameters if name.startswith(HEADS)}
    if method != "full" and not head:
        raise ConfigError(
            f"method: {method!r} trains the output head, and {type(model).__name__} has none; "
            "expected a model for a task, such as BertForTokenClassification."
        )
    biases = {name for name in parameters if name.endswith(".bias")}
    trained = {"full": parameters.keys(), "head": head, "bitfit": head | biases}[method]
    for name, parameter in parameters.items():
        parameter.requires_grad_(name in trained)
