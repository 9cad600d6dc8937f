"""A tiny base model and small data files of our own, and a way to run the command in-process."""

import csv
import json
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from minilora import kernels
from minilora.cli.main import main
from minilora.nn import BertConfig, BertModel
from minilora.storage import read_tensors, write_json, write_tensors
from minilora.storage import shipped as shipped_module

NAMES = ["Anna", "Bela", "Carl", "Dora", "Emil", "Frida"]
PLACES = ["Lund", "Pisa", "Graz", "Oslo", "Bern", "Riga"]
VERBS = ["works in", "left", "likes", "moved to"]
TOPICS = {
    "food": ["the soup is warm", "a cake with sugar", "bread and cheese", "the soup is salty"],
    "music": ["a song for two voices", "the drum is loud", "a choir of voices", "drum and song"],
}


def ner_lines(names, places):
    """A sentence for each name, place and verb: ``Anna works in Lund .``"""
    sentences = [
        [f"{name}\tB-PER", *(f"{word}\tO" for word in verb.split()), f"{place}\tB-LOC", ".\tO"]
        for name in names
        for place in places
        for verb in VERBS
    ]
    return "".join("\n".join(lines) + "\n\n" for lines in sentences)


def topic_lines(beginnings):
    rows = [f"{label}\t{b}{text}" for b in beginnings for label in TOPICS for text in TOPICS[label]]
    return "\n".join(["label\ttext", *rows]) + "\n"


def write_base(folder: Path, **changes) -> Path:
    """A BERT with random weights that reads the words of these files."""
    texts = " ".join([*NAMES, *PLACES, *VERBS, *(t for some in TOPICS.values() for t in some)])
    words = sorted({*texts.lower().split(), ".", "well", "now", "oh", "so"})
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    vocab = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words, *(f"##{c}" for c in letters)]
    sizes = {
        "vocab_size": len(vocab),
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "max_position_embeddings": 32,
    }
    config = BertConfig(**sizes | changes, initializer_range=0.2)
    model = BertModel(config, rng=np.random.default_rng(7))
    folder.mkdir(parents=True, exist_ok=True)
    write_tensors(folder / "model.safetensors", model.state_dict(), metadata={"format": "pt"})
    write_json(folder / "config.json", config.to_dict() | {"architectures": ["BertModel"]})
    (folder / "vocab.txt").write_text("\n".join(vocab) + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="session", autouse=True)
def reference_kernels():
    """Nothing here is about speed: no compiling, and no message that says so."""
    before = kernels.active()
    kernels.use("reference")
    yield
    kernels.use(before)


@pytest.fixture(autouse=True)
def no_figures(monkeypatch):
    """Half a second each. The runs below, which are made once a session, are drawn all the same."""
    monkeypatch.setattr("minilora.analysis.plots.training_report", lambda run: b"a figure")


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Nothing here is fetched: tests/io/test_base_model.py has a Hub of its own."""
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)


@pytest.fixture(scope="session")
def base(tmp_path_factory) -> Path:
    return write_base(tmp_path_factory.mktemp("base"))


@pytest.fixture
def shipped(base, data, tmp_path, monkeypatch):
    """What comes with minilora: here the base, its weights in float16, and the data of these tests.

    The encoder is in ``tiny_bert``, the data sets beside it.
    """
    place = tmp_path / "shipped"
    shutil.copytree(base, place / "tiny_bert")
    tensors = read_tensors(base / "model.safetensors")
    halves = {name: array.astype(np.float16) for name, array in tensors.items()}
    write_tensors(place / "tiny_bert" / "model.safetensors", halves)
    for name, ending in (("ner", "conll"), ("intents", "tsv"), ("finance_sentiment", "tsv")):
        (place / name).mkdir()
        for split in ("train", "dev", "test"):
            shutil.copy(data / f"{split}.{ending}", place / name)
    monkeypatch.setattr(shipped_module, "PLACES", (place,))
    return place


@pytest.fixture
def make_base():
    """A function that writes a base with other sizes: ``make_base(folder, hidden_size=8)``."""
    return write_base


@pytest.fixture(scope="session")
def data(tmp_path_factory) -> Path:
    """train, dev and test, as .conll for NER and as .tsv for classification."""
    folder = tmp_path_factory.mktemp("data")
    splits = {
        "train": (NAMES[:4], PLACES[:4], ["", "well ", "now "]),
        "dev": (NAMES[4:5], PLACES[4:], ["oh "]),
        "test": (NAMES[5:], PLACES[4:], ["so "]),
    }
    for name, (names, places, beginnings) in splits.items():
        (folder / f"{name}.conll").write_text(ner_lines(names, places), encoding="utf-8")
        (folder / f"{name}.tsv").write_text(topic_lines(beginnings), encoding="utf-8")
    return folder


@dataclass(frozen=True)
class Answer:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out.splitlines()[-1])


@pytest.fixture
def run(capsys):
    """Run ``minilora ...`` in this process."""

    def command(*words) -> Answer:
        code = main([str(word) for word in words])
        captured = capsys.readouterr()
        return Answer(code, captured.out, captured.err)

    return command


@pytest.fixture(scope="session")
def ner_words(base, data):
    """The words of a short NER training, without --out."""
    return (
        *("train", "--base", base, "--task", "ner", "--train", data / "train.conll"),
        *("--dev", data / "dev.conll", "--epochs", 1, "--batch-size", 8, "--threads", 1),
    )


@pytest.fixture(scope="session")
def topic_words(base, data):
    """The words of a short classification training, without --out."""
    return (
        *("train", "--base", base, "--task", "classify", "--train", data / "train.tsv"),
        *("--dev", data / "dev.tsv", "--epochs", 1, "--batch-size", 8, "--threads", 1),
    )


@pytest.fixture(scope="session")
def ner_run(ner_words, tmp_path_factory) -> Path:
    """The folder of a finished NER run. Not to be changed."""
    out = tmp_path_factory.mktemp("runs") / "ner"
    assert main([str(word) for word in (*ner_words, "--out", out, "--json")]) == 0
    return out


@pytest.fixture(scope="session")
def topic_run(topic_words, tmp_path_factory) -> Path:
    """The folder of a finished classification run. Not to be changed."""
    out = tmp_path_factory.mktemp("runs") / "topics"
    assert main([str(word) for word in (*topic_words, "--out", out, "--json")]) == 0
    return out


@pytest.fixture(scope="session")
def search_words(base, data):
    """The words of a short NER search, without --out."""
    return (
        *("select-rank", "--base", base, "--task", "ner", "--train", data / "train.conll"),
        *("--dev", data / "dev.conll", "--epochs", 1, "--batch-size", 8),
    )


@pytest.fixture(scope="session")
def topic_search_words(base, data):
    """The words of a short search with a classification, without --out."""
    return (
        *("select-rank", "--base", base, "--task", "classify", "--train", data / "train.tsv"),
        *("--epochs", 1, "--batch-size", 8),
    )


@pytest.fixture(scope="session")
def swept(search_words, tmp_path_factory):
    """The folder of a finished sweep, in two processes. Not to be changed."""
    out = tmp_path_factory.mktemp("searches") / "swept"
    words = (*search_words, "--ranks", "1,2", "--seeds", 2, "--workers", 2, "--out", out, "--json")
    assert main([str(word) for word in words]) == 0
    return out


@pytest.fixture
def here(monkeypatch):
    """Run trials in a thread of this process: starting others takes longer than these trials."""
    monkeypatch.setattr("minilora.cli.select_rank.local_workers", ThreadPoolExecutor)


@pytest.fixture
def trial_rows():
    """Read the results of a search."""

    def read(out: Path) -> list[dict[str, str]]:
        with (out / "results.csv").open(newline="") as file:
            return list(csv.DictReader(file))

    return read
