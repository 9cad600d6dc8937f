"""Files to arrays and JSON, and back: checked on the way in, whole or not at all on the way out."""

from minilora.storage.atomic import output_error as output_error
from minilora.storage.atomic import remove_leftovers as remove_leftovers
from minilora.storage.atomic import replacing as replacing
from minilora.storage.checkpoint import Checkpoint as Checkpoint
from minilora.storage.checkpoint import open_checkpoint as open_checkpoint
from minilora.storage.checkpoint import read_checkpoint as read_checkpoint
from minilora.storage.json_file import write_json as write_json
from minilora.storage.shipped import shipped_folder as shipped_folder
from minilora.storage.tensors import TensorInfo as TensorInfo
from minilora.storage.tensors import read_metadata as read_metadata
from minilora.storage.tensors import read_tensor as read_tensor
from minilora.storage.tensors import read_tensors as read_tensors
from minilora.storage.tensors import tensor_info as tensor_info
from minilora.storage.tensors import write_tensors as write_tensors
