"""Models from Hugging Face folders: which tensor goes where, and what does not fit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from minilora._types import Array, DType, Rng
from minilora.errors import CheckpointError, ConfigError
from minilora.nn.config import BertConfig
from minilora.nn.fit import fit, normalised
from minilora.nn.init import initialize
from minilora.nn.module import Module
from minilora.storage import read_checkpoint


@dataclass(frozen=True)
class Checkpoint:
    """A folder's config, and its tensors under normalised names."""

    folder: Path
    config: BertConfig
    tensors: dict[str, Array]

    @classmethod
    def read(cls, folder: Path, *, dtype: DType) -> Checkpoint:
        """Read a folder; floating-point tensors become ``dtype``.

        Raises
        ------
        CheckpointError
            The folder is missing, damaged, or not of a BERT.
        """
        found = read_checkpoint(folder, dtype=dtype)
        config = BertConfig.from_json(folder / "config.json")
        tensors: dict[str, Array] = {}
        for key, array in found.items():
            name = normalised(key)
            if name in tensors:
                raise CheckpointError(
                    f"{folder}: holds tensor {name!r} a second time as {key!r}; expected one; "
                    "remove the other."
                )
            tensors[name] = array
        return cls(folder, config, tensors)


class Pretrained(Module):
    """A model that can be read from a Hugging Face folder.

    Attributes
    ----------
    config
        The model's settings.
    base_dir
        The folder it was read from, or None.
    started_at_random
        The parameters which that folder did not have.
    """

    may_lack: ClassVar[tuple[str, ...]] = ()
    """Modules (without the prefix ``bert.``) that start at random where a folder has none."""

    config: BertConfig
    base_dir: Path | None = None
    started_at_random: tuple[str, ...] = ()

    def start(self, config: BertConfig, rng: Rng | None) -> None:
        """Keep ``config``, and draw every parameter from ``rng``, if there is one."""
        self.config = config
        if rng is not None:
            everything = {name for name, _ in self.named_parameters()}
            initialize(self, everything, std=config.initializer_range, rng=rng)

    def load(self, checkpoint: Checkpoint, *, rng: Rng | None) -> None:
        """Take over the checkpoint's arrays; draw from ``rng`` what it may lack and does.

        Raises
        ------
        CheckpointError
            Listing every tensor that does not fit; the model is then as it was.
        ConfigError
            Something is to start at random and ``rng`` is None.
        """
        kind = type(self).__name__
        arrays, lacking, misfits = fit(self, checkpoint.tensors, may_lack=self.may_lack)
        if misfits:
            raise CheckpointError(
                f"{checkpoint.folder}: does not fit {kind}: {'; '.join(misfits)}; "
                f"choose the folder of a {kind} or of its encoder, or download it again."
            )
        if lacking and rng is None:
            raise ConfigError(
                f"{kind}.from_pretrained: {checkpoint.folder} has no {', '.join(lacking)}; these "
                "start at random; pass rng=np.random.default_rng(seed)."
            )
        for name, parameter in self.named_parameters():
            if name in arrays:
                parameter.data = arrays[name]
        if rng is not None:
            initialize(self, lacking, std=self.config.initializer_range, rng=rng)
        self.started_at_random = tuple(lacking)
        self.base_dir = checkpoint.folder
