"""Modules: ops with parameters, and BERT made of them."""

from minilora.nn.bert import BertModel as BertModel
from minilora.nn.config import BertConfig as BertConfig
from minilora.nn.dropout import Dropout as Dropout
from minilora.nn.dropout import draw_seed as draw_seed
from minilora.nn.dropout import training as training
from minilora.nn.dropout import training_rng as training_rng
from minilora.nn.heads import BertForMaskedLM as BertForMaskedLM
from minilora.nn.heads import BertForSequenceClassification as BertForSequenceClassification
from minilora.nn.heads import BertForTokenClassification as BertForTokenClassification
from minilora.nn.layers import Embedding as Embedding
from minilora.nn.layers import LayerNorm as LayerNorm
from minilora.nn.layers import Linear as Linear
from minilora.nn.module import Module as Module
from minilora.nn.module import Parameter as Parameter
from minilora.nn.module import count_parameters as count_parameters
