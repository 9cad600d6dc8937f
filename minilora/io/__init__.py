"""Other people's formats: adapters as PEFT has them, whole models as transformers has them."""

from minilora.io.adapter_config import AdapterWarning as AdapterWarning
from minilora.io.base_model import base_folder as base_folder
from minilora.io.fingerprint import base_fingerprint as base_fingerprint
from minilora.io.huggingface import save_pretrained as save_pretrained
from minilora.io.peft import AdapterInfo as AdapterInfo
from minilora.io.peft import load_adapter as load_adapter
from minilora.io.peft import read_adapter_config as read_adapter_config
from minilora.io.peft import read_adapter_info as read_adapter_info
from minilora.io.peft import save_adapter as save_adapter
from minilora.io.updates import SavedUpdates as SavedUpdates
from minilora.io.updates import new_updates as new_updates
from minilora.io.updates import read_updates as read_updates
from minilora.io.updates import write_updates as write_updates
