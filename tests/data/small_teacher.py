"""A teacher of some ten thousand parameters, what it reads, and what is learnt from it."""

from dataclasses import dataclass

import numpy as np

from distil.lessons import Lessons
from distil.plan import Plan
from distil.student import Student
from distil.teacher import States, states_of
from distil.vocabulary import choose_pieces, normalizer
from minilora import BertConfig, BertModel, WordPieceTokenizer
from minilora.storage import write_json, write_tensors
from minilora.text.settings import TokenizerSettings

PLAN = Plan(
    width=32,
    layers=2,
    intermediate=48,
    vocabulary=280,
    positions=48,
    pieces=2000,
    batch_pieces=200,
)

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
LETTERS = "abcdefghijklmnopqrstuvwxyzßøλ"
SIGNS = "!'(),-.:?0123456789$€"
IDEOGRAPHS = "中京日"
WORDS = (
    "the", "of", "and", "in", "to", "was", "he", "is", "as", "for", "on", "with", "that", "it",
    "his", "by", "at", "from", "her", "she", "which", "they", "new", "first", "people", "old",
    "house", "city", "river", "north", "boat", "train", "market", "letter", "music", "school",
    "winter", "summer", "anna", "bela", "carl", "dora", "lund", "pisa", "graz", "oslo", "works",
    "lives", "reads", "writes", "left", "sold", "bought", "found", "quiet",
)  # fmt: skip
ENDINGS = ("##ed", "##ing", "##er", "##ly")
RARE = ("zebra", "zinc", "zoo")

VOCABULARY = (
    *SPECIAL,
    *("[unused0]", "[unused1]"),
    *SIGNS,
    *LETTERS,
    *IDEOGRAPHS,
    *WORDS,
    *(f"##{c}" for c in SIGNS + LETTERS + IDEOGRAPHS),
    *ENDINGS,
    *RARE,
)
SIZES = {
    "hidden_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 96,
    "max_position_embeddings": 64,
}
FALLOFF = 0.85
"""Of the teacher's states, from one direction to the next."""


def write_teacher(folder, *, seed=7, **changes):
    """A BERT with random weights, whose states lie in few directions, as those of trained ones."""
    config = BertConfig(vocab_size=len(VOCABULARY), **SIZES | changes, initializer_range=0.2)
    rng = np.random.default_rng(seed)
    model = BertModel(config, rng=rng)
    D = config.hidden_size
    Q = np.linalg.qr(rng.standard_normal((D, D))).Q
    S = (Q * FALLOFF ** np.arange(D) @ Q.T).astype(np.float32)
    for name, parameter in model.named_parameters():
        if name.endswith("_embeddings.weight"):
            parameter.data = parameter.data @ S
        elif name.endswith("output.dense.weight"):
            parameter.data = S @ parameter.data
    folder.mkdir(parents=True, exist_ok=True)
    write_tensors(folder / "model.safetensors", model.state_dict(), metadata={"format": "pt"})
    write_json(folder / "config.json", config.to_dict() | {"architectures": ["BertModel"]})
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n", encoding="utf-8")
    return folder


def some_texts(n, rng):
    """Word lists and plain texts by turns, 3 to 9 words each; some capitals, some endings."""
    texts = []
    for i in range(n):
        words = [str(word) for word in rng.choice(WORDS, rng.integers(3, 10))]
        words[0] = words[0].capitalize()
        words[1] += str(rng.choice(("", "s", "ing", "quu")))
        words[2] = words[2].upper() if rng.random() < 0.2 else words[2]
        texts.append([*words, "."] if i % 2 else " ".join(words) + "!")
    return texts


def write_texts(folder, *, n, rng):
    """[a .conll file of the word lists, a .tsv file of the plain texts]"""
    texts = some_texts(n, rng)
    sentences = [text for text in texts if isinstance(text, list)]
    conll, tsv = folder / "sentences.conll", folder / "texts.tsv"
    lines = ["\n".join(f"{word}\tO" for word in words) + "\n\n" for words in sentences]
    conll.write_text("".join(lines), encoding="utf-8")
    rows = [f"x\t{text}" for text in texts if isinstance(text, str)]
    tsv.write_text("\n".join(["label\ttext", *rows]) + "\n", encoding="utf-8")
    return [conll, tsv]


def tokenizer_of(pieces, *, cased):
    """The tokenizer of a student with these pieces."""
    settings = TokenizerSettings(normalizer=normalizer(cased=cased))
    return WordPieceTokenizer({piece: i for i, piece in enumerate(pieces)}, settings=settings)


@dataclass
class School:
    """All that `PLAN` makes of a teacher and some texts before a student learns."""

    texts: list
    pieces: dict
    tokenizer: WordPieceTokenizer
    states: States
    lessons: Lessons

    @classmethod
    def of(cls, teacher, teacher_tokenizer, texts, folder):
        pieces = choose_pieces(teacher_tokenizer, texts, size=PLAN.vocabulary, cased=True)
        tokenizer = tokenizer_of(pieces, cased=True)
        layers = (*range(1, PLAN.layers + 1), SIZES["num_hidden_layers"])
        states = states_of(
            teacher, teacher_tokenizer, texts, layers=layers, folder=folder, threads=1
        )
        lessons = Lessons.join(tokenizer, texts, states, max_length=PLAN.positions)
        return cls(texts, pieces, tokenizer, states, lessons)

    def student(self, seed=0, dtype=np.float32):
        """One that knows nothing yet."""
        return Student(PLAN.config(), rng=np.random.default_rng(seed), dtype=dtype)

    def everything(self):
        """All lessons in one batch."""
        return self.lessons.batch(np.arange(len(self.lessons.encodings)))
