"""``minilora doctor``: what is installed, and whether it computes what it should."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from minilora import kernels
from minilora._types import Array, DType
from minilora.adapters import LoraConfig, LoRALinear, inject
from minilora.autograd import Tensor, gradcheck, no_grad
from minilora.cli.console import Console, paint
from minilora.cli.machine import facts, ready_kernels
from minilora.cli.parser import Parser
from minilora.cli.table import pad
from minilora.nn import BertConfig, BertForTokenClassification
from minilora.text import Batch
from minilora.train import AdamW, train_step

EPILOG = """\
examples:
  minilora doctor                                  exit code 0 if every check passes
  MINILORA_KERNELS=reference minilora doctor       the same without compiled kernels
  minilora doctor --json                           for a bug report

Set MINILORA_THREADS to use fewer threads than cores, MINILORA_CACHE to keep compiled kernels
elsewhere than in ~/.cache/minilora."""


@dataclass(frozen=True)
class Check:
    """A promise, the error found, and the most it may be."""

    name: str
    what: str
    error: float
    limit: float

    @property
    def passed(self) -> bool:
        """Whether the error is within the limit (NaN is not)."""
        return self.error <= self.limit


def run(words: Sequence[str]) -> int:
    """Show facts and checks; 0 if all checks passed, else 1."""
    parser = Parser(
        "minilora doctor",
        usage="[--json]",
        description="Show what minilora runs on here, and check on a tiny model that it computes "
        "what it should.",
        epilog=EPILOG,
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")
    console = Console(as_json=parser.parse(words).json)

    found = facts()
    width = max(map(len, found))
    console.say(*(f"{pad(name, width)}  {text}" for name, text in found.items()), "")
    checks = []
    ready_kernels(np.float64, np.float32)
    for check in CHECKS:
        checks.append(check())
        console.say(_line(checks[-1]))
    healthy = all(check.passed for check in checks)
    console.say("", _verdict(healthy, kernels.cache_trouble(), console))
    console.finish(
        {
            "command": "doctor",
            "healthy": healthy,
            "facts": found,
            "checks": [asdict(check) | {"passed": check.passed} for check in checks],
        }
    )
    return 0 if healthy else 1


def gradient() -> Check:
    """Compare backward with differences for all adapters of a tiny encoder, in float64."""
    model, batch = _adapted_encoder(np.float64), _batch()
    layers = [m for _, m in model.named_modules() if isinstance(m, LoRALinear)]
    slots = [(layer, name) for layer in layers for name in ("lora_A", "lora_B")]

    def loss(*factors: Tensor) -> Tensor:
        for (layer, name), factor in zip(slots, factors, strict=True):
            setattr(layer, name, factor)
        return model.loss(batch)

    values = [getattr(layer, name).data for layer, name in slots]
    error = gradcheck(loss, *values, rtol=np.inf)
    return Check("gradient", "backward and differences agree, in float64", error, 1e-6)


def precision() -> Check:
    """Compare float32 with float64."""
    error = _distance(_logits(np.float32), _logits(np.float64))
    return Check("precision", "float32 and float64 logits agree", error, 1e-5)


def compiled() -> Check:
    """Compare the kernels in use with their NumPy specification."""
    active = kernels.active()
    found = _logits(np.float64)
    try:
        kernels.use("reference")
        error = _distance(found, _logits(np.float64))
    finally:
        kernels.use(active)
    return Check("kernels", f"{active} and reference kernels agree, in float64", error, 1e-12)


def repeatable() -> Check:
    """Train twice from the same start."""
    once, again = _trained(), _trained()
    error = max(float(np.abs(a - b).max()) for a, b in zip(once, again, strict=True))
    return Check("repeatable", "training twice gives the same bits", error, 0.0)


CHECKS: tuple[Callable[[], Check], ...] = (gradient, precision, compiled, repeatable)

_LABELS = ("O", "B-X", "I-X")


def _adapted_encoder(dtype: DType) -> BertForTokenClassification:
    """A tiny BERT with LoRA whose B is not zero, which would hide mistakes; always the same."""
    rng = np.random.default_rng(0)
    config = BertConfig(
        vocab_size=40,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=16,
        initializer_range=0.3,
    )
    model = BertForTokenClassification(config, labels=_LABELS, rng=rng, dtype=np.float64)
    inject(model, LoraConfig(r=2, target_modules="all-linear"), rng=rng)
    for _, parameter in model.named_parameters():
        noise = rng.normal(0, 0.1, parameter.shape) if parameter.requires_grad else 0.0
        parameter.data = (parameter.data + noise).astype(dtype)
    return model


def _batch() -> Batch:
    """Two sequences of 5 and 9 tokens, with labels."""
    rng = np.random.default_rng(1)
    n_tokens = 14
    return Batch(
        input_ids=rng.integers(0, 40, n_tokens),
        position_ids=np.concatenate([np.arange(5), np.arange(9)]),
        token_type_ids=np.zeros(n_tokens, np.int64),
        offsets=np.array([0, 5, n_tokens]),
        labels=rng.integers(0, len(_LABELS), n_tokens),
    )


def _logits(dtype: DType) -> Array:
    with no_grad():
        return _adapted_encoder(dtype)(_batch()).data


def _trained() -> list[Array]:
    model = _adapted_encoder(np.float32)
    parameters = [p for _, p in model.named_parameters() if p.requires_grad]
    optimizer = AdamW(parameters, lr=0.01)
    for seed in range(3):
        train_step(model, _batch(), optimizer, rng=np.random.default_rng(seed))
    return [p.data for p in parameters]


def _distance(a: Array, b: Array) -> float:
    """max |a − b| / max |b|"""
    return float(np.abs(a - b).max() / np.abs(b).max())


def _verdict(healthy: bool, trouble: str | None, console: Console) -> str:
    """The last line for people; slow is not wrong, and yet not well."""
    if trouble is not None:
        console.note(f"kernels are compiled at every start, since {trouble}")
    if not healthy:
        return paint("something computes wrongly here; please report this", "red")
    if trouble is not None:
        return paint("what is computed is right, but every start is slow; see the note", "yellow")
    return paint("all is well", "green")


def _line(check: Check) -> str:
    verdict = paint("ok  ", "green") if check.passed else paint("FAIL", "red")
    return f"{verdict}  {pad(check.name, 10)}  {check.what}: error {check.error:.1e}, " + (
        f"limit {check.limit:.0e}" if check.limit else "none allowed"
    )
