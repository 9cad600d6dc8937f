"""Strings to arrays: data files, the tokenizer, packed batches."""

from minilora.text.alignment import encode_corpus as encode_corpus
from minilora.text.batch import IGNORED as IGNORED
from minilora.text.batch import Batch as Batch
from minilora.text.corpus import Corpus as Corpus
from minilora.text.corpus import Example as Example
from minilora.text.corpus import Sentence as Sentence
from minilora.text.corpus import Task as Task
from minilora.text.corpus import label_names as label_names
from minilora.text.dataset import Dataset as Dataset
from minilora.text.dataset import EncodingReport as EncodingReport
from minilora.text.encoding import Encoding as Encoding
from minilora.text.reading import read_corpus as read_corpus
from minilora.text.settings import TokenizerSettings as TokenizerSettings
from minilora.text.tokenizer import WordPieceTokenizer as WordPieceTokenizer
