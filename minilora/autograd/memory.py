"""What the tape keeps alive between forward and backward, op by op."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import CellType, FunctionType
from typing import Any

import numpy as np

from minilora._types import Array
from minilora.autograd.tape import Leaf, newest_first
from minilora.autograd.tensor import Tensor


def saved_bytes(y: Tensor, *, parameters: Iterable[Tensor] = ()) -> dict[str, int]:
    """Bytes of the arrays that the pullbacks behind ``y`` close over, by op.

    An array that several pullbacks share, or of which they hold different views, counts once, for
    the earliest op that holds it. What lives anyway does not count: the values of leaves, and of
    the tensors in ``parameters`` (pass a model's, since frozen weights are no leaves).

    Returns
    -------
    dict
        Op name to bytes, in the order of the forward pass; the sum is what training costs in
        activations.
    """
    if y.node is None:
        return {}
    nodes = newest_first(y.node)
    leaves = (node.tensor() for node in nodes if isinstance(node, Leaf))
    seen = {id(_owner(t.data)) for t in (*leaves, *parameters) if t is not None}
    saved: dict[str, int] = {}
    for node in reversed(nodes):
        for array in _arrays(node.pullbacks):
            owner = _owner(array)
            if id(owner) not in seen:
                seen.add(id(owner))
                saved[node.name] = saved.get(node.name, 0) + owner.nbytes
    return saved


def _owner(array: Array) -> Array:
    """The array whose memory a view shows."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def _arrays(held: Any) -> Iterator[Array]:
    """Arrays reachable from pullbacks through closures, cells, tuples and lists."""
    if isinstance(held, np.ndarray):
        yield held
    elif isinstance(held, (tuple, list)):
        for item in held:
            yield from _arrays(item)
    elif isinstance(held, FunctionType):
        for cell in held.__closure__ or ():
            yield from _arrays(cell)
    elif isinstance(held, CellType):
        yield from _arrays(held.cell_contents)
