"""Models from the Hugging Face Hub, where ``huggingface_hub`` is installed."""

from __future__ import annotations

from pathlib import Path

from minilora.errors import CheckpointError
from minilora.text.tokenizer_files import TOKENIZER_FILES

FETCHED = [
    "config.json",
    "model*.safetensors",
    "model.safetensors.index.json",
    *TOKENIZER_FILES,
]
"""All that is read of a model folder, and so all that is fetched: never a pickle."""


def fetch(name: str) -> Path:
    """Fetch a model such as ``org/model``, or find it in the cache of ``huggingface_hub``.

    Raises
    ------
    CheckpointError
        The package is not installed, the Hub cannot be reached or does not give the model away, or
        the model has no weights in safetensors files.
    """
    try:
        import huggingface_hub
    except ImportError:
        raise CheckpointError(
            f"{name}: is no folder here, and fetching a model of this name from the Hugging Face "
            "Hub takes huggingface_hub, which is not installed; check the path, or run: "
            "pip install huggingface_hub"
        ) from None
    try:
        folder = Path(huggingface_hub.snapshot_download(name, allow_patterns=FETCHED))
    except Exception as error:  # of the Hub, the network or the disk, by the library's version
        raise CheckpointError(f"{name}: is no folder here, and {_reason(name, error)}") from error
    if not any(folder.glob("*.safetensors")):
        raise CheckpointError(
            f"{name}: has no model.safetensors on the Hugging Face Hub, and to read pickled "
            "weights is to run the code in them; choose a model that has it, or convert this one "
            "where you trust it, in transformers by from_pretrained(...).save_pretrained(...)"
        )
    return folder


def _reason(name: str, error: Exception) -> str:
    from huggingface_hub import errors

    reasons = {  # the first is a kind of the second
        errors.GatedRepoError: "the Hugging Face Hub gives it only to those who were granted "
        f"access; ask for it at https://huggingface.co/{name}, and log in with: hf auth login",
        errors.RepositoryNotFoundError: "the Hugging Face Hub has no such model, or keeps it "
        "private; check the spelling, or log in with: hf auth login",
        errors.LocalEntryNotFoundError: "neither is it in the cache of huggingface_hub, nor can "
        "the Hugging Face Hub be reached; check the path, the connection and HF_HUB_OFFLINE",
        errors.HFValidationError: "no name that the Hugging Face Hub can have; expected tiny, a "
        "folder, or a name such as org/model",
    }
    for kind, reason in reasons.items():
        if isinstance(error, kind):
            return reason
    said = " ".join(str(error).split()) or type(error).__name__
    return f"it cannot be fetched from the Hugging Face Hub: {said}; try again, or give a folder"
