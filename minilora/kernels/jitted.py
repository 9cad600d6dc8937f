"""Every kernel, compiled by Numba: the twins of `minilora.kernels.reference`."""

from minilora.kernels.packed_backward import attention_backward as attention_backward
from minilora.kernels.packed_forward import attention as attention
from minilora.kernels.pointwise import dropout as dropout
from minilora.kernels.pointwise import gelu as gelu
from minilora.kernels.pointwise import gelu_backward as gelu_backward
from minilora.kernels.pointwise import gelu_tanh as gelu_tanh
from minilora.kernels.pointwise import gelu_tanh_backward as gelu_tanh_backward
from minilora.kernels.rowwise import cross_entropy as cross_entropy
from minilora.kernels.rowwise import layer_norm as layer_norm
from minilora.kernels.rowwise import layer_norm_backward as layer_norm_backward
from minilora.kernels.rowwise import log_softmax as log_softmax
from minilora.kernels.rowwise import softmax as softmax
from minilora.kernels.rowwise import softmax_backward as softmax_backward
from minilora.kernels.update import adamw_step as adamw_step
from minilora.kernels.update import scatter_add as scatter_add
