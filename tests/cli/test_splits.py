from pathlib import Path

import pytest

from minilora.cli.console import Console
from minilora.cli.splits import hold_out, read_splits
from minilora.errors import DataError
from minilora.text import Corpus, Example


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
