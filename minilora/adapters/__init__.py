"""LoRA and its relatives: trainable low-rank changes to frozen Linear layers."""

from minilora.adapters.base import AdaptedLinear as AdaptedLinear
from minilora.adapters.config import LoraConfig as LoraConfig
from minilora.adapters.inject import Adaptation as Adaptation
from minilora.adapters.inject import eject as eject
from minilora.adapters.inject import inject as inject
from minilora.adapters.inject import merge as merge
from minilora.adapters.lora import LoRALinear as LoRALinear
from minilora.adapters.methods import METHODS as METHODS
from minilora.adapters.methods import prepare as prepare
from minilora.adapters.update import LowRankUpdate as LowRankUpdate

ADAPTERS: dict[str, type[AdaptedLinear]] = {"lora": LoRALinear}
"""Every adapter, by name: tests/adapters/test_every_adapter.py runs the laws on each."""
