"""What LoRA costs beside full fine-tuning: numbers trained, operations, bytes. Closed forms.

For a weight (O, I) with an update of rank r, per token (a multiplication and an addition count as
two operations; biases, dropout and everything that is no matrix product are left out):

==================  ==================  ==============================  ===============
.                   full                LoRA                            LoRA, merged
==================  ==================  ==============================  ===============
numbers trained     O I                 r (O + I)                       -
operations forward  2 O I               2 O I + 2 r (O + I)             2 O I
operations training 6 O I               4 O I + 6 r (O + I)             -
numbers kept for x  I                   I + r                           -
==================  ==================  ==============================  ===============

Training is the forward pass, the gradient by x (2 O I either way) and the gradients by what is
trained: 2 O I for W; for B, A and the path through them 4 r (O + I). The frozen W thus saves a
third of the work at most, and LoRA trains fewer numbers than full fine-tuning below the break-even
rank r* = O I / (O + I), d/2 for a square weight of side d.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from minilora.adapters import LowRankUpdate
from minilora.errors import ConfigError

MEANINGS = {
    "parameters_trained": "Numbers that training changes, and that a checkpoint of it holds.",
    "flops_forward": "Operations of a forward pass, per token.",
    "flops_training": "Operations of a training step, per token.",
    "bytes_weights": "Weights in memory, frozen ones included.",
    "bytes_gradients": "Gradients in memory: one number for each that is trained.",
    "bytes_optimizer": "State of the optimiser: for Adam two numbers for each that is trained.",
    "bytes_activations": "What the layers keep of a token for the backward pass.",
}
"""One line for each entry of a `Cost`."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a way of using some weights costs; `MEANINGS` explains each."""

    parameters_trained: int
    flops_forward: int
    flops_training: int
    bytes_weights: int
    bytes_gradients: int
    bytes_optimizer: int
    bytes_activations: int


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """The adapted weights, fine-tuned in full, with LoRA, and with LoRA merged for inference.

    ``break_even_rank`` is the rank, the same for all layers, at which LoRA trains as many numbers
    as full fine-tuning; ``break_even_flops_rank`` that at which a step takes as many operations.
    """

    full: Cost
    lora: Cost
    merged: Cost
    break_even_rank: float
    break_even_flops_rank: float


def ledger(
    updates: Iterable[LowRankUpdate],
    *,
    weight_bytes: int = 4,
    trained_bytes: int = 4,
    optimizer_states: int = 2,
) -> Ledger:
    """Add up what the layers of an adapter cost.

    Parameters
    ----------
    updates
        At least one.
    weight_bytes, trained_bytes
        Bytes of a number of a frozen weight (2 for bfloat16), and of one that is trained, of its
        gradient, of its optimiser state and of an activation.
    optimizer_states
        Numbers an optimiser keeps for each that is trained: 2 for Adam, 1 for momentum, 0 for SGD.

    Raises
    ------
    ConfigError
        When there are no updates.
    """
    sizes = [(*update.shape, update.rank) for update in updates]
    if not sizes:
        raise ConfigError("ledger: no updates; at least one was expected.")
    dense = sum(O * I for O, I, _ in sizes)
    thin = sum(r * (O + I) for O, I, r in sizes)
    inputs = sum(I for _, I, _ in sizes)
    per_rank = sum(O + I for O, I, _ in sizes)

    def cost(trained: int, frozen: int, forward: int, training: int, kept: int) -> Cost:
        return Cost(
            parameters_trained=trained,
            flops_forward=forward,
            flops_training=training,
            bytes_weights=frozen * weight_bytes + trained * trained_bytes,
            bytes_gradients=trained * trained_bytes,
            bytes_optimizer=trained * trained_bytes * optimizer_states,
            bytes_activations=kept * trained_bytes,
        )

    ranks = sum(r for _, _, r in sizes)
    return Ledger(
        full=cost(dense, 0, 2 * dense, 6 * dense, inputs),
        lora=cost(thin, dense, 2 * (dense + thin), 4 * dense + 6 * thin, inputs + ranks),
        merged=cost(0, dense, 2 * dense, 0, 0),
        break_even_rank=dense / per_rank,
        break_even_flops_rank=dense / (3 * per_rank),
    )
