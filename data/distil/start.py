"""How the student starts: as near to the teacher as least squares can put it.

Its layer l stands for the teacher's layer l, with fewer directions, heads and neurons. One map B
(D of the teacher, D) serves all layers, since residuals pass from one to the next: the principal
directions of the teacher's states, every feature scaled to deviation 1. A state h of the teacher
is (h − mean) B for the student. From the first layer to the last, each affine map is the one that
brings what the student has nearest to what it should have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from minilora import Batch, BertForMaskedLM, BertModel, Tensor, no_grad
from minilora._types import Array, Rng
from minilora.linalg import svd
from minilora.nn.bert import BertEmbeddings, BertLayer, BertResidual
from minilora.nn.layers import LayerNorm, Linear
from minilora.nn.module import Parameter

CAPITALS = 0.5
"""How far pieces with a capital start from those without, in norms of an embedding."""
RIDGE = 1e-3
"""Of the mean square of what a map is fitted on, is added to every square: no map grows large."""


@dataclass(frozen=True, eq=False)
class Inside:
    """What one of the teacher's layers computes on the way, each (T, ...)."""

    query: Array
    key: Array
    value: Array
    context: Array  # the heads' outputs
    attended: Array  # after the first residual and layer norm
    neurons: Array  # before the activation
    out: Array


def start(
    student: BertForMaskedLM,
    teacher: BertModel,
    pieces: Mapping[str, int],
    batch: Batch,
    *,
    rng: Rng,
) -> None:
    """Set the student's embeddings and layers from the teacher's.

    Parameters
    ----------
    student, teacher
        The student has at most as many layers, heads and neurons.
    pieces
        The student's pieces, each with the teacher's id of its meaning.
    batch
        Texts in the student's pieces, to fit on: some ten thousand tokens.
    rng
        Draws the direction of capitals.
    """
    ids = np.array(list(pieces.values()))
    L = student.config.num_hidden_layers
    with no_grad():
        theirs = replace(batch, input_ids=ids[batch.input_ids])
        first, inside = look_inside(teacher, theirs, L)
        states = [first, *(h for layer in inside for h in (layer.attended, layer.out))]
        B, wanted = common_basis(states, student.config.hidden_size)
        set_embeddings(student, teacher, pieces, B, rng)
        embeddings = student.bert.embeddings
        fit_norm(embeddings.LayerNorm, sum_of_embeddings(embeddings, batch), wanted[0])
        h = embeddings(batch)
        for n, (layer, teachers) in enumerate(zip(student.bert.encoder.layer, inside, strict=True)):
            big = teacher.encoder.layer[n]
            h = fit_layer(layer, big, teachers, h, batch, wanted[2 * n + 1], wanted[2 * n + 2])


def look_inside(teacher: BertModel, batch: Batch, L: int) -> tuple[Array, list[Inside]]:
    """The embeddings (T, D), then what happens in each of the first L layers."""
    h = teacher.embeddings(batch)
    first, inside = h.data, []
    for layer in teacher.encoder.layer[:L]:
        attention = layer.attention.self
        context = attention(h, batch.offsets)
        attended = layer.attention.output(context, h)
        neurons = layer.intermediate.dense(attended)
        out = layer.output(layer.intermediate.activation(neurons), attended)
        maps = (attention.query(h), attention.key(h), attention.value(h))
        inside.append(Inside(*(x.data for x in (*maps, context, attended, neurons, out))))
        h = out
    return first, inside


def common_basis(states: Sequence[Array], D: int) -> tuple[Array, list[Array]]:
    """B (D of the teacher, D), and every state in it: (h − mean) B."""
    centred = [h - h.mean(axis=0) for h in states]
    deviation: Array = np.sqrt(sum(c.var(axis=0) for c in centred) / len(centred))
    scaled = [c / deviation for c in centred]
    covariance: Array = sum(c.T @ c for c in scaled)
    B: Array = svd(covariance).U[:, :D] / deviation[:, None]
    return B, [c @ B for c in centred]


def sum_of_embeddings(embeddings: BertEmbeddings, batch: Batch) -> Array:
    """What the embeddings' layer norm gets, (T, D)."""
    found = (
        embeddings.word_embeddings(batch.input_ids),
        embeddings.position_embeddings(batch.position_ids),
        embeddings.token_type_embeddings(batch.token_type_ids),
    )
    total: Array = np.sum([table.data for table in found], axis=0)
    return total


def set_embeddings(
    student: BertForMaskedLM, teacher: BertModel, pieces: Mapping[str, int], B: Array, rng: Rng
) -> None:
    """The teacher's tables in the basis; pieces with a capital are moved by one random vector."""
    theirs, ours = teacher.embeddings, student.bert.embeddings
    ids, P = np.array(list(pieces.values())), student.config.max_position_embeddings
    for mine, table in (
        (ours.word_embeddings, theirs.word_embeddings.weight.data[ids]),
        (ours.position_embeddings, theirs.position_embeddings.weight.data[:P]),
        (ours.token_type_embeddings, theirs.token_type_embeddings.weight.data),
    ):
        mine.weight.data = np.ascontiguousarray(table @ B, dtype=mine.weight.data.dtype)
    W = ours.word_embeddings.weight.data
    with_capital = [piece != piece.lower() and not piece.startswith("[") for piece in pieces]
    u = rng.standard_normal(W.shape[1])
    step = CAPITALS * np.linalg.norm(W, axis=1).mean() / np.linalg.norm(u)
    W[with_capital] += (step * u).astype(W.dtype)


def fit_layer(
    layer: BertLayer,
    big: BertLayer,
    teachers: Inside,
    h: Tensor,
    batch: Batch,
    attended: Array,
    out: Array,
) -> Tensor:
    """Fit a layer on its input h (T, D), map by map; return its output.

    Of the teacher's layer, ``big``, those heads and neurons are kept that move its residuals most.
    ``attended`` and ``out`` (T, D) are what the layer should have after each of its halves.
    """
    mine, D = layer.attention.self, h.shape[1]
    K = D // mine.n_heads
    W = big.attention.output.dense.weight.data  # (D of the teacher, heads * K)
    weight = (np.square(W).sum(axis=0) * teachers.context.var(axis=0)).reshape(-1, K).sum(axis=1)
    heads = np.sort(np.argsort(weight)[-mine.n_heads :])
    columns = (heads[:, None] * K + np.arange(K)).ravel()
    for linear, target in (
        (mine.query, teachers.query),
        (mine.key, teachers.key),
        (mine.value, teachers.value),
    ):
        fit_linear(linear, h.data, target[:, columns])
    context = mine(h, batch.offsets)
    fit_residual(layer.attention.output, context, h, attended)
    a = layer.attention.output(context, h)

    W = big.output.dense.weight.data  # (D of the teacher, F)
    activity = big.intermediate.activation(Tensor(teachers.neurons)).data.var(axis=0)
    F = layer.intermediate.dense.weight.shape[0]
    neurons = np.sort(np.argsort(np.square(W).sum(axis=0) * activity)[-F:])
    fit_linear(layer.intermediate.dense, a.data, teachers.neurons[:, neurons])
    x = layer.intermediate(a)
    fit_residual(layer.output, x, a, out)
    return layer.output(x, a)


def fit_residual(part: BertResidual, x: Tensor, h: Tensor, wanted: Array) -> None:
    """Fit LayerNorm(x Wᵀ + b + h) to ``wanted``: first what is under the norm, then the norm."""
    fit_linear(part.dense, x.data, wanted - h.data)
    fit_norm(part.LayerNorm, part.dense(x).data + h.data, wanted)


def fit_linear(linear: Linear, x: Array, y: Array) -> None:
    """W, b with x Wᵀ + b nearest y in the mean square, but for the ridge; x (T, I), y (T, O)."""
    x_mean, y_mean = x.mean(axis=0), y.mean(axis=0)
    X = (x - x_mean).astype(np.float64)
    G = X.T @ X
    G[np.diag_indices_from(G)] += RIDGE * np.trace(G) / len(G)
    W = np.linalg.solve(G, X.T @ (y - y_mean)).T
    linear.weight = Parameter(np.ascontiguousarray(W, dtype=x.dtype))
    linear.bias = Parameter((y_mean - W @ x_mean).astype(x.dtype))


def fit_norm(norm: LayerNorm, x: Array, y: Array) -> None:
    """Weight and bias with LayerNorm(x) nearest y, coordinate by coordinate; x, y (T, D)."""
    z = x - x.mean(axis=1, keepdims=True)
    z = z / np.sqrt(np.square(z).mean(axis=1, keepdims=True) + norm.eps)
    slope = ((z - z.mean(axis=0)) * (y - y.mean(axis=0))).mean(axis=0) / z.var(axis=0)
    norm.weight.data = slope.astype(x.dtype)
    norm.bias.data = (y.mean(axis=0) - slope * z.mean(axis=0)).astype(x.dtype)
