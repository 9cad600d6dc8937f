"""A tiny BERT, and toy tasks it can learn: words are numbers, and the number decides the label."""

import numpy as np
import pytest

from minilora.nn import BertConfig, BertForSequenceClassification, BertForTokenClassification
from minilora.text import Dataset, Encoding, EncodingReport, Example, Sentence
from minilora.text.dataset import first_pieces

CLS, SEP, FIRST_WORD, N_WORDS = 1, 2, 4, 30
TAGS = ("O", "B-X", "I-X", "B-Y", "I-Y")
TOPICS = ("a", "b", "c")


def encode(words: list[list[int]]) -> Encoding:
    """Words, each given as the ids of its pieces."""
    ids = [CLS, *(piece for word in words for piece in word), SEP]
    word_ids = [None, *(w for w, word in enumerate(words) for _ in word), None]
    return Encoding(
        input_ids=np.array(ids),
        token_type_ids=np.zeros(len(ids), np.int64),
        tokens=[str(i) for i in ids],
        word_ids=word_ids,
        sequence_ids=[None if w is None else 0 for w in word_ids],
    )


def tagged_words(rng: np.random.Generator) -> list[tuple[int, str]]:
    """Entities and words outside of any, in turn; each tag has five words of its own."""
    sentence: list[tuple[int, str]] = []
    for _ in range(rng.integers(1, 5)):
        kind = rng.choice(["X", "Y", "O", "O"])
        tags = ["O"] if kind == "O" else [f"B-{kind}", *[f"I-{kind}"] * rng.integers(0, 3)]
        sentence += [(5 * TAGS.index(tag) + int(rng.integers(5)), tag) for tag in tags]
    return sentence


def ner_dataset(n: int, seed: int) -> Dataset:
    rng = np.random.default_rng(seed)
    encodings, labels, rows = [], [], []
    for line in range(1, n + 1):
        words, tags = zip(*tagged_words(rng), strict=True)
        encoding = encode([[FIRST_WORD + w] + [3] * (w % 3 == 0) for w in words])  # some have two
        label = np.full(len(encoding), -100)
        label[first_pieces(encoding.word_ids)] = [TAGS.index(tag) for tag in tags]
        encodings.append(encoding)
        labels.append(label)
        rows.append(Sentence([str(w) for w in words], list(tags), line))
    return Dataset("ner", encodings, labels, TAGS, rows, EncodingReport(n))


def topic_dataset(n: int, seed: int) -> Dataset:
    """The topic is the third of the word list that the first word comes from."""
    rng = np.random.default_rng(seed)
    words = [[int(w) for w in rng.integers(0, N_WORDS, rng.integers(1, 8))] for _ in range(n)]
    labels = np.array([some[0] * len(TOPICS) // N_WORDS for some in words])
    rows = [
        Example(" ".join(map(str, some)), None, TOPICS[label], line + 1)
        for line, (some, label) in enumerate(zip(words, labels, strict=True))
    ]
    encodings = [encode([[FIRST_WORD + w] for w in some]) for some in words]
    return Dataset("classify", encodings, labels, TOPICS, rows, EncodingReport(n))


def tiny_config(dropout: float) -> BertConfig:
    return BertConfig(
        vocab_size=FIRST_WORD + N_WORDS,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=32,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        initializer_range=0.1,
    )


@pytest.fixture(scope="session")
def ner_data():
    """f(n, seed) -> Dataset of tagged sentences."""
    return ner_dataset


@pytest.fixture(scope="session")
def topic_data():
    """f(n, seed) -> Dataset of texts with a topic each."""
    return topic_dataset


@pytest.fixture
def tagger():
    """f(dtype, dropout, seed) -> a model for `ner_data`; equal arguments give equal models."""

    def make(dtype=np.float32, dropout=0.0, seed=0):
        rng = np.random.default_rng(seed)
        return BertForTokenClassification(tiny_config(dropout), labels=TAGS, rng=rng, dtype=dtype)

    return make


@pytest.fixture
def classifier():
    """f(dtype, dropout, seed) -> a model for `topic_data`."""

    def make(dtype=np.float32, dropout=0.0, seed=0):
        rng = np.random.default_rng(seed)
        return BertForSequenceClassification(
            tiny_config(dropout), labels=TOPICS, rng=rng, dtype=dtype
        )

    return make
