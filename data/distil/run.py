"""From a teacher and some texts to a folder with a student."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from distil.lessons import Lessons
from distil.plan import Plan
from distil.start import start
from distil.student import Student
from distil.teach import teach
from distil.teacher import states_of
from distil.texts import Text, read_texts, variations
from distil.vocabulary import choose_pieces
from minilora import BertModel, WordPieceTokenizer
from minilora.storage import replacing, write_json, write_tensors

SAMPLE = 1500
"""Texts that the start is fitted on."""


def distil(
    plan: Plan,
    *,
    teacher_dir: Path,
    text: Sequence[Path],
    dev: Sequence[Path],
    out: Path,
    cache: Path,
    threads: int | None,
) -> None:
    """Teach a student, and write it to ``out`` in float16.

    Parameters
    ----------
    plan
        What kind of student, and how it is taught.
    teacher_dir
        Hugging Face folder of an uncased BERT.
    text, dev
        Files to learn on, and files to see now and then how well it understands others.
    out
        Gets config.json, model.safetensors, tokenizer_config.json and vocab.txt.
    cache
        Where the teacher's hidden states are kept, and found again.
    threads
        Cores to use (default: all).

    Raises
    ------
    MiniLoraError
        A file or folder is missing or damaged, or the plan does not fit the teacher.
    """
    rng = np.random.default_rng(plan.seed)
    teacher = BertModel.from_pretrained(teacher_dir, add_pooling_layer=False)
    teacher_tokenizer = WordPieceTokenizer.from_pretrained(teacher_dir)
    plan.check(teacher.config)
    texts, dev_texts = read_texts(text), read_texts(dev)
    pieces = choose_pieces(teacher_tokenizer, texts, size=plan.vocabulary, cased=plan.cased)
    write_tokenizer(out, list(pieces), plan)
    tokenizer = WordPieceTokenizer.from_pretrained(out)

    def lessons(name: str, texts: list[Text]) -> Lessons:
        states = states_of(
            teacher,
            teacher_tokenizer,
            texts,
            layers=(*range(1, plan.layers + 1), teacher.config.num_hidden_layers),
            folder=cache,
            threads=threads,
            progress=lambda chunks: tqdm(chunks, f"teacher reads {name}", disable=None),
        )
        return Lessons.join(tokenizer, texts, states, max_length=plan.positions)

    varied: list[Text] = []
    for _ in range(plan.copies):
        varied += variations(texts, plan.swapped, rng, recased=plan.recased)
    train = lessons("texts", [*texts, *varied])
    held_out = lessons("dev", dev_texts) if dev else None
    student = Student(plan.config(), rng=rng)
    sample = train.batch(rng.permutation(len(train.encodings))[:SAMPLE])
    start(student, teacher, pieces, sample, rng=rng)
    teach(student, sample, train, held_out, plan, ids=tokenizer.vocab, rng=rng, threads=threads)
    write_student(student, out)


def write_student(student: Student, folder: Path) -> None:
    """config.json and model.safetensors, in float16: half the size, and no score changes."""
    tensors = {name: array.astype(np.float16) for name, array in student.state_dict().items()}
    write_tensors(folder / "model.safetensors", tensors, metadata={"format": "pt"})
    config = {"architectures": ["BertForMaskedLM"], **student.config.to_dict()}
    write_json(folder / "config.json", config | {"torch_dtype": "float16"})


def write_tokenizer(folder: Path, pieces: Sequence[str], plan: Plan) -> None:
    """vocab.txt and tokenizer_config.json"""
    with replacing(folder / "vocab.txt") as file:
        file.write("".join(f"{piece}\n" for piece in pieces).encode())
    settings = {
        "tokenizer_class": "BertTokenizer",
        "do_lower_case": not plan.cased,
        "strip_accents": True,
        "tokenize_chinese_chars": True,
        "model_max_length": plan.positions,
    }
    write_json(folder / "tokenizer_config.json", settings)
