"""The fingerprint of a base model: does this adapter belong to it?"""

from __future__ import annotations

import hashlib

import numpy as np

from minilora._types import Array
from minilora.adapters import AdaptedLinear
from minilora.nn import Module


def base_fingerprint(model: Module) -> str:
    """SHA-256 of the base weights and biases under the adapters that ``model`` carries.

    They are hashed as float32, layer by layer, so that a model read in float32 and in float64 has
    one fingerprint; biases that are trained count as they were before.
    """
    digest = hashlib.sha256()
    originals: dict[str, Array] = model.adaptation.originals
    for path, layer in model.named_modules():
        if isinstance(layer, AdaptedLinear):
            for name, parameter in layer.base_parameters().items():
                full = f"{path}.{name}"
                array = originals.get(full, parameter.data)
                digest.update(f"{full} {array.shape} ".encode())
                digest.update(np.ascontiguousarray(array, np.float32).data)
    return digest.hexdigest()
