from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minilora.cli.console import Console
from minilora.cli.splits import Splits, hold_out, read_splits
from minilora.errors import DataError
from minilora.text import Corpus, Example
from minilora.text.reading import SUFFIXES


def corpus(n_rows):
    rows = [Example(str(i), None, "x", i) for i in range(n_rows)]
    return Corpus(path=Path("train.tsv"), task="classify", rows=rows)


@pytest.mark.parametrize(("n_rows", "n_held"), [(2, 1), (9, 1), (50, 5), (56, 6)])
def test_a_tenth_is_held_out_and_at_least_one_row(n_rows, n_held):
    kept, held = hold_out(corpus(n_rows), seed=0)
    assert (len(kept), len(held)) == (n_rows - n_held, n_held)


def test_no_row_is_lost_or_in_both_and_the_order_stays():
    kept, held = hold_out(corpus(100), seed=3)
    lines = [[row.line for row in part.rows] for part in (kept, held)]
    assert sorted(lines[0] + lines[1]) == list(range(100))
    assert lines == [sorted(lines[0]), sorted(lines[1])]


def test_the_seed_decides_which_rows():
    def held(seed):
        return [row.line for row in hold_out(corpus(100), seed=seed)[1].rows]

    assert held(1) == held(1) != held(2)


def test_one_row_cannot_be_divided():
    with pytest.raises(DataError, match=r"^train.tsv: has one row.*--dev"):
        hold_out(corpus(1), seed=0)


@pytest.mark.parametrize(("need_dev", "names"), [(True, ["train", "dev"]), (False, ["train"])])
def test_dev_is_held_out_only_where_it_is_needed(tmp_path, need_dev, names):
    file = tmp_path / "train.tsv"
    file.write_text("label\ttext\n" + "a\tx\nb\ty\n" * 9)
    console = Console(as_json=True)
    splits = read_splits(
        "classify", train=str(file), dev=None, need_dev=need_dev, seed=0, console=console
    )
    assert list(splits.corpora) == names
    assert sum(map(len, splits.corpora.values())) == 18


def texts(words):
    rows = [Example(word, None, "x", i) for i, word in enumerate(words)]
    return Corpus(path=Path("train.tsv"), task="classify", rows=rows)


@given(st.lists(st.integers(0, 30), min_size=2, max_size=60), st.integers(0, 5))
@settings(deadline=None)
def test_copies_are_held_out_together_unless_all_have_too_many(numbers, seed):
    kept, held = hold_out(texts(map(str, numbers)), seed=seed)
    assert sorted(row.line for row in [*kept.rows, *held.rows]) == list(range(len(numbers)))
    most = max(1, round(0.1 * len(numbers)))
    assert 1 <= len(held) <= most
    if any(numbers.count(number) <= most for number in numbers):
        assert {row.text for row in kept.rows}.isdisjoint(row.text for row in held.rows)


@given(st.integers(2, 60), st.integers(0, 5))
@settings(deadline=None)
def test_without_copies_rows_are_held_out_as_they_were_drawn(n_rows, seed):
    drawn = np.random.default_rng([seed, 2]).permutation(n_rows)
    held = hold_out(corpus(n_rows), seed=seed)[1]
    assert [row.line for row in held.rows] == sorted(drawn[: max(1, round(0.1 * n_rows))])


@pytest.fixture
def noted(tmp_path):
    """A function that writes files, reads them as splits and returns the notes."""

    def read(**contents):
        paths = {}
        for name, content in contents.items():
            paths[name] = str(tmp_path / f"{name}.tsv")
            Path(paths[name]).write_text(content, encoding="utf-8")
        console = Console(as_json=True)
        read_splits("classify", **{"dev": None, **paths}, seed=0, console=console)
        return console.notes

    return read


HEADER, PAIRS = "label\ttext\n", "label\ttext_a\ttext_b\n"
TRAIN = HEADER + "a\tx\nb\ty\n"


def test_it_is_noted_where_dev_or_test_hold_rows_of_train(noted):
    notes = noted(train=TRAIN, dev=HEADER + "a\tx\nb\tz\n", test=TRAIN)
    assert notes[:2] == [
        "1 of the 2 rows in dev are in train as well: its scores flatter",
        "test is the same data as train: its scores say nothing about new texts",
    ]


def test_it_is_noted_where_test_holds_rows_of_dev(noted):
    dev = HEADER + "a\tu\nb\tv\n"
    assert noted(train=TRAIN, dev=dev, test=HEADER + "a\tu\nb\tw\nb\tz\n") == [
        "1 of the 3 rows in test are in dev as well: the best epoch was chosen by them"
    ]


def test_it_is_noted_where_test_is_dev(noted):
    dev = HEADER + "a\tu\nb\tv\n"
    assert noted(train=TRAIN, dev=dev, test=dev) == [
        "test is the same data as dev: its scores are no second opinion"
    ]


def test_nothing_is_noted_where_no_row_is_in_two_files(noted):
    assert noted(train=TRAIN, dev=HEADER + "a\tu\n", test=HEADER + "b\tv\n") == []


def test_it_is_noted_where_copies_cannot_be_kept_out_of_what_is_held_out(noted):
    *_, overlap = noted(train=HEADER + "a\tx\nb\ty\n" * 9)
    assert overlap == "2 of the 2 rows in dev are in train as well: its scores flatter"


@pytest.mark.parametrize("name", ["dev", "test"])
@pytest.mark.parametrize(
    ("train", "other", "message"),
    [
        (TRAIN, PAIRS + "a\tx\ty\n", r"is a pair of texts \(text_a, text_b\); a single text"),
        (PAIRS + "a\tx\ty\nb\tx\tz\n", TRAIN, r"is a single text \(text\); a pair of texts"),
    ],
)
def test_pairs_and_single_texts_are_not_mixed(noted, name, train, other, message):
    with pytest.raises(DataError, match=rf"{name}\.tsv:2: {message}.* as in .*train\.tsv"):
        noted(train=train, **{name: other})


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [([None, None], False), (["b", "c"], True), ([None, "b"], None)],
)
def test_splits_know_whether_train_holds_pairs(pairs, expected):
    rows = [Example("a", pair, "x", i) for i, pair in enumerate(pairs)]
    train = Corpus(path=Path("train.jsonl"), task="classify", rows=rows)
    assert Splits({"train": train}, ("x", "y")).pairs is expected


@pytest.mark.parametrize(
    ("task", "end"), [("ner", "for --task classify"), ("classify", "examples")]
)
def test_help_names_every_ending_of_a_task(run, task, end):
    _, _, section = run("train", "--help").out.partition(f"for --task {task}")
    endings = section.partition(end)[0].split()
    assert set(SUFFIXES[task]) <= set(endings)
