"""Neural-network ops. Names and argument order follow torch.nn.functional where it has them."""

from collections.abc import Callable

from minilora.autograd import Tensor
from minilora.autograd.tensor import matmul as matmul
from minilora.ops.activation import gelu as gelu
from minilora.ops.activation import relu as relu
from minilora.ops.activation import tanh as tanh
from minilora.ops.attention import attention as attention
from minilora.ops.dropout import dropout as dropout
from minilora.ops.embedding import embedding as embedding
from minilora.ops.linear import linear as linear
from minilora.ops.loss import cross_entropy as cross_entropy
from minilora.ops.loss import mse_loss as mse_loss
from minilora.ops.normalization import layer_norm as layer_norm
from minilora.ops.shape import concatenate as concatenate
from minilora.ops.softmax import log_softmax as log_softmax
from minilora.ops.softmax import softmax as softmax

OPS: dict[str, Callable[..., Tensor]] = {
    f.__name__: f
    for f in (
        attention,
        concatenate,
        cross_entropy,
        dropout,
        embedding,
        gelu,
        layer_norm,
        linear,
        log_softmax,
        mse_loss,
        relu,
        softmax,
        tanh,
    )
}
"""Every op, by name: tests/ops/test_every_op.py runs the contract on each."""
