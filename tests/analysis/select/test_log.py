import csv
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minilora.analysis.select import Candidate, Result, Trial, TrialLog
from minilora.analysis.select.log import COLUMNS
from minilora.errors import CheckpointError, OutputError

NAMES = st.lists(st.from_regex(r"[a-z_.0-9]+", fullmatch=True), min_size=1, max_size=3).map(tuple)
RANKS = st.lists(
    st.tuples(st.sampled_from(["layer.0.query", "a=b"]), st.integers(1, 9)), max_size=2
)
RESULTS = st.builds(
    Result,
    st.builds(
        Trial,
        st.builds(
            lambda r, ranks, **others: Candidate(
                r=max((n for _, n in ranks), default=r), ranks=ranks, **others
            ),
            r=st.integers(1, 64),
            alpha=st.floats(0.1, 100),
            targets=NAMES,
            sparsity=st.floats(0, 0.99),
            ranks=RANKS.map(tuple),
            n_parameters=st.integers(0, 10**9),
        ),
        st.integers(1, 9),
        st.integers(0, 9),
        st.integers(0, 9),
    ),
    st.none() | st.floats(allow_nan=False, allow_infinity=False),
    st.integers(0, 999).map(float),
    st.text(st.characters(exclude_characters="\n\r", exclude_categories=["Cs"])),
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "new" / "results.csv"


@pytest.fixture
def two(result):
    return [result(0.1 + 0.2, seed=0), result(None, seed=1, error='ValueError: "a", b')]


@pytest.fixture
def written(path, two):
    """The bytes of a log with two results."""
    log = TrialLog(path)
    for one in two:
        log.append(one)
    return path.read_bytes()


def test_results_come_back_as_they_were(path, written, two):
    assert list(TrialLog(path).results.values()) == two


@settings(max_examples=25)  # each waits for the disk
@given(results=st.lists(RESULTS, max_size=3, unique_by=lambda result: result.trial))
def test_whatever_was_appended_comes_back(results, tmp_path_factory):
    path = tmp_path_factory.mktemp("log") / "results.csv"
    log = TrialLog(path)
    for one in results:
        log.append(one)
    assert list(TrialLog(path).results.values()) == results


def test_the_file_is_a_plain_csv_with_a_row_for_each_trial(path, written):
    with path.open(newline="") as file:
        header, first, second = csv.reader(file)
    assert tuple(header) == COLUMNS
    assert dict(zip(header, first, strict=True)) == {
        "r": "4",
        "alpha": "16.0",
        "targets": "query value",
        "sparsity": "0.0",
        "ranks": "",
        "parameters": "256",
        "epochs": "1",
        "seed": "0",
        "fold": "0",
        "score": "0.30000000000000004",
        "seconds": "0.500",
        "error": "",
    }
    assert second[-3:] == ["", "0.500", 'ValueError: "a", b']


def test_a_file_cut_off_anywhere_gives_the_results_before_and_takes_new_ones(path, written, two):
    ends = list(itertools.accumulate(len(line) for line in written.splitlines(keepends=True)))
    for length in {*range(0, len(written), 13), *ends, *(end - 1 for end in ends)}:
        path.write_bytes(written[:length])
        log = TrialLog(path)
        n_whole = sum(end <= length for end in ends[1:])
        assert list(log.results.values()) == two[:n_whole]
        for one in two[n_whole:]:
            log.append(one)
        assert path.read_bytes() == written


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ((b"r,alpha", b"x,y"), r"results.csv:1: the columns are 'x,y,"),
        ((b"4,16.0", b"four,16.0"), r"results.csv:2: is no result of a trial .*'four'"),
        ((b"4,16.0", b"0,16.0"), r"results.csv:2: is no result"),
        ((b",0.500,\n", b"\n"), r"results.csv:2: is no result"),
    ],
)
def test_a_damaged_file_is_refused_with_the_line(path, written, change, said):
    path.write_bytes(written.replace(*change, 1))
    with pytest.raises(CheckpointError, match=said):
        TrialLog(path)


def test_blank_lines_are_passed_over_and_counted(path, written, two):
    header, first, second = written.splitlines(keepends=True)
    path.write_bytes(header + b"\n" + first + b"\n" + second)
    assert list(TrialLog(path).results.values()) == two
    path.write_bytes(header + b"\n" + first + b"\n" + second.replace(b"16.0", b"none"))
    with pytest.raises(CheckpointError, match=r"results.csv:5: is no result"):
        TrialLog(path)


def test_a_folder_in_the_way_is_said(path):
    path.mkdir(parents=True)
    with pytest.raises(OutputError, match=r"results\.csv: cannot be written"):
        TrialLog(path)


def test_a_folder_that_vanished_is_said(path, written, two):
    log = TrialLog(path)
    path.unlink()
    path.parent.rmdir()
    with pytest.raises(OutputError, match=r"results\.csv"):
        log.append(two[0])
