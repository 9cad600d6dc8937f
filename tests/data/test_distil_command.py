"""`python data/prepare.py tiny-bert`, end to end."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from small_teacher import PLAN, SPECIAL, write_teacher, write_texts

import prepare
from minilora import (
    Batch,
    BertForMaskedLM,
    BertForTokenClassification,
    BertModel,
    WordPieceTokenizer,
)
from minilora.storage import read_tensors

SIZES = ("width", "layers", "intermediate", "vocabulary", "positions", "batch_pieces")
FILES = {"config.json", "model.safetensors", "tokenizer_config.json", "vocab.txt"}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """[a .conll, a .tsv]"""
    return write_texts(tmp_path_factory.mktemp("texts"), n=40, rng=np.random.default_rng(5))


@pytest.fixture(scope="module")
def words(teacher_dir, files):
    """words(out, "--seed", 3): a command line."""

    def command(out, *more, teacher=teacher_dir, text=files):
        sizes = [f"--{name.replace('_', '-')}={getattr(PLAN, name)}" for name in SIZES]
        given = ["tiny-bert", "--teacher", teacher, "--text", *text, "--out", out]
        return [str(w) for w in (*given, *sizes, "--threads=1", "--pieces=600", *more)]

    return command


@pytest.fixture(scope="module")
def made(words, files, tmp_path_factory):
    """The folder that the command made. Not to be changed."""
    out = tmp_path_factory.mktemp("made") / "tiny"
    assert prepare.main(words(out, "--dev", files[0])) == 0
    return out


@pytest.fixture
def refusal(words, tmp_path, capsys):
    """refusal("--layers", 9): the one line it says, nothing having been made."""

    def line(*more, **changes):
        out = tmp_path / "out"
        assert prepare.main(words(out, *more, **changes)) == 2
        said = capsys.readouterr()
        assert said.out == ""
        assert not out.exists() or not any(out.iterdir())
        (line,) = [one for one in said.err.split("\n") if one]
        return line

    return line


def digests(folder):
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir()}


def test_a_folder_holds_what_an_encoder_comes_with(made):
    assert {path.name for path in made.iterdir()} == FILES


def test_every_kind_of_model_reads_it(made):
    tokenizer = WordPieceTokenizer.from_pretrained(made)
    batch = Batch.pack([tokenizer("Bela sold the old train!"), tokenizer("quiet")])
    encoder = BertModel.from_pretrained(made)  # with a pooler: no rng is asked for
    hidden = encoder(batch)
    assert hidden.shape == (batch.n_tokens, PLAN.width)
    assert encoder.pooled(hidden, batch).shape == (2, PLAN.width)
    assert BertForMaskedLM.from_pretrained(made)(batch).shape == (batch.n_tokens, PLAN.vocabulary)
    tagger = BertForTokenClassification.from_pretrained(
        made, labels=["O", "B-X"], rng=np.random.default_rng(0)
    )
    assert tagger.started_at_random == ("classifier.weight", "classifier.bias")


def test_its_tensors_are_halves_and_finite(made):
    tensors = read_tensors(made / "model.safetensors")
    assert {array.dtype for array in tensors.values()} == {np.dtype(np.float16)}
    assert all(np.isfinite(array).all() for array in tensors.values())
    assert {"bert.pooler.dense.weight", "bert.pooler.dense.bias"} <= set(tensors)
    assert any(name.startswith("cls.predictions.transform.") for name in tensors)
    assert "cls.predictions.bias" in tensors


def test_its_config_says_what_it_is(made):
    config = json.loads((made / "config.json").read_text())
    assert config["architectures"] == ["BertForMaskedLM"]
    assert config["torch_dtype"] == "float16"
    assert (config["hidden_size"], config["num_attention_heads"]) == (32, 1)
    assert config["vocab_size"] == len((made / "vocab.txt").read_text("utf-8").splitlines())


def test_its_tokenizer_keeps_capitals_and_the_order_of_the_vocabulary(made):
    tokenizer = WordPieceTokenizer.from_pretrained(made)
    assert list(tokenizer.vocab)[:5] == list(SPECIAL)
    assert list(tokenizer.vocab) == (made / "vocab.txt").read_text("utf-8").split("\n")[:-1]
    assert tokenizer("THE").tokens != tokenizer("the").tokens


def test_the_same_seed_and_threads_make_the_same_bytes(made, words, files, tmp_path):
    again = tmp_path / "again"
    assert prepare.main(words(again, "--dev", files[0])) == 0
    assert digests(again) == digests(made)


def test_another_seed_makes_another_student(made, words, tmp_path):
    other = tmp_path / "other"
    assert prepare.main(words(other, "--seed", 1)) == 0
    changed = {name for name, digest in digests(other).items() if digests(made)[name] != digest}
    assert changed == {"model.safetensors"}


def test_an_uncased_student_can_be_had(words, tmp_path):
    out = tmp_path / "uncased"
    assert prepare.main(words(out, "--no-cased", "--vocabulary=150", "--pieces=0")) == 0
    tokenizer = WordPieceTokenizer.from_pretrained(out)
    assert tokenizer("THE old Train").tokens == tokenizer("the OLD train").tokens


def test_what_came_out_is_said_with_its_digest(words, tmp_path, capsys):
    out = tmp_path / "out"
    assert prepare.main(words(out, "--pieces=0")) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert {name: digest for _, digest, name in lines} == digests(out)
    assert {name: int(size.replace(",", "")) for size, _, name in lines} == {
        path.name: path.stat().st_size for path in out.iterdir()
    }


def test_the_teacher_is_not_asked_again_where_its_answers_were_kept(words, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    assert prepare.main(words(tmp_path / "one", "--pieces=0", "--cache", cache)) == 0
    kept = {path: path.stat().st_mtime_ns for path in cache.iterdir()}
    monkeypatch.setattr("distil.teacher.map_shards", None)
    assert prepare.main(words(tmp_path / "two", "--pieces=0", "--cache", cache)) == 0
    assert {path: path.stat().st_mtime_ns for path in cache.iterdir()} == kept
    assert digests(tmp_path / "one") == digests(tmp_path / "two")


def test_a_folder_with_files_is_refused_and_left_as_it_is(words, tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("mine")
    assert prepare.main(words(tmp_path)) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"{tmp_path}: is not empty; ")
    assert said.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_an_attempt_that_failed_leaves_room_for_the_next(words, files, tmp_path, monkeypatch):
    def interrupted(*args, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("distil.run.teach", interrupted)
        with pytest.raises(KeyboardInterrupt):
            prepare.main(words(tmp_path / "out"))
    assert prepare.main(words(tmp_path / "out", "--pieces=0")) == 0


@pytest.mark.parametrize("option", ["--out", "--cache"])
def test_a_file_where_a_folder_should_be_is_refused(words, tmp_path, capsys, option):
    (tmp_path / "file").write_text("mine")
    assert prepare.main(words(tmp_path / "out", option, tmp_path / "file" / "folder")) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"{tmp_path / 'file' / 'folder'}: ")
    assert said.count("\n") == 1


def test_a_missing_teacher_is_named(refusal, tmp_path):
    assert refusal(teacher=tmp_path / "no").startswith(f"{tmp_path / 'no'}: ")


def test_a_teacher_without_a_vocabulary_is_refused(refusal, tmp_path):
    folder = write_teacher(tmp_path / "teacher")
    (folder / "vocab.txt").unlink()
    assert "vocab.txt" in refusal(teacher=folder)


@pytest.mark.parametrize("option", ["text", "dev"])
def test_a_missing_file_is_named_before_anything_is_done(refusal, files, tmp_path, option):
    missing = tmp_path / "no.tsv"
    said = refusal(text=[*files, missing]) if option == "text" else refusal("--dev", missing)
    assert said.startswith(f"{missing}: there is no such file")


def test_a_damaged_file_is_named_with_its_line(refusal, tmp_path):
    (tmp_path / "bad.tsv").write_bytes(b"label\ttext\nx\tgood\nx\tb\xffad\n")
    assert refusal(text=[tmp_path / "bad.tsv"]).startswith(f"{tmp_path / 'bad.tsv'}:3: byte 0xff")


@pytest.mark.parametrize(
    ("option", "value", "problem"),
    [
        ("--width", 96, "width 96 is not between 1 and 64"),
        ("--width", 40, "width 40 is no multiple of 32"),
        ("--layers", 4, "layers 4 is not between 1 and 3"),
        ("--layers", 0, "layers 0 is not between 1 and 3"),
        ("--intermediate", 97, "intermediate 97 is not between 1 and 96"),
        ("--positions", 65, "positions 65 is not between 1 and 64"),
        ("--batch-pieces", 0, "batch-pieces 0 is not at least 1"),
        ("--vocabulary", 60, "vocabulary: 60 pieces"),
        ("--threads", 0, "threads: got '0'"),
    ],
)
def test_what_cannot_be_cut_from_this_teacher_is_refused(refusal, option, value, problem):
    assert problem in refusal(option, value)


def test_a_teacher_with_heads_of_another_width_is_refused(refusal, tmp_path):
    folder = write_teacher(tmp_path / "teacher", num_attention_heads=4)
    assert "the teacher's heads are 16 wide" in refusal(teacher=folder)


def test_the_command_line_itself_leaves_with_the_exit_code(words, tmp_path):
    script = Path(prepare.__file__)
    done = subprocess.run(
        [sys.executable, script, *words(tmp_path / "out", teacher=tmp_path / "no")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
