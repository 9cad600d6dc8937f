import json
import math
from concurrent.futures import ThreadPoolExecutor

import pytest
import score_table
import sweep
from random_base import make_base
from sweep import Cell, DataSet, Run

from minilora import kernels

SEEDS = [0, 1, 2]
RATES = [0.1, 0.3, 1.0]


def cell(base="tiny", dataset="intents", method="head", epochs=1):
    return Cell(base, "b" * 16, dataset, "d" * 16, method, epochs)


def line(run, dev, test=0.5):
    scores = {"dev": dev, "test": test, "seconds": 1.0, "parameters_trained": 7, "best_epoch": 1}
    return run.to_json() | scores


def swept(where, devs, **seeds):
    """Runs of a cell: a dev score for each rate, with seed 0."""
    runs = [Run(where, lr, 0) for lr in devs]
    return {run: line(run, devs[run.lr], **seeds) for run in runs}


def test_the_learning_rate_with_the_best_dev_score_is_chosen_whatever_its_test_score():
    where = cell()
    runs = swept(where, {0.1: 0.4, 0.3: 0.6, 1.0: 0.5})
    runs[Run(where, 0.1, 0)]["test"] = 1.0
    assert sweep.chosen(sweep.tried(where, runs, 0)) == 0.3


def test_of_several_best_learning_rates_the_lowest_is_chosen():
    assert sweep.chosen({1.0: 0.6, 0.3: 0.6, 0.1: 0.2}) == 0.3


def test_a_rate_that_diverged_is_never_chosen():
    where, run = cell(), Run(cell(), 0.1, 0)
    rates = sweep.tried(where, {run: run.to_json() | {"diverged": "nan"}}, 0)
    assert rates == {0.1: -math.inf}
    assert sweep.chosen(rates) is None
    assert sweep.chosen({0.1: -math.inf, 0.3: 0.0}) == 0.3


def test_the_sweep_comes_first_and_the_other_seeds_only_with_its_winner():
    where = cell()
    runs = swept(where, {0.1: 0.4, 0.3: 0.6})
    assert sweep.missing(where, runs, SEEDS, RATES) == [Run(where, 1.0, 0)]
    runs |= swept(where, {1.0: 0.5})
    assert sweep.missing(where, runs, SEEDS, RATES) == [Run(where, 0.3, seed) for seed in (1, 2)]


@pytest.mark.parametrize(
    ("devs", "beyond"),
    [
        ({1e-4: 0.4, 3e-4: 0.5, 1e-3: 0.6}, 3e-3),
        ({1e-3: 0.6, 3e-3: 0.5, 1e-2: -math.inf}, 3e-4),
        ({5e-3: 0.4, 2e-2: 0.5, 8e-2: 0.6}, 0.3),
        ({1e-4: 0.4, 3e-4: 0.6, 1e-3: 0.5}, None),
        ({3e-4: 0.6, 1e-3: 0.6, 3e-3: 0.6}, 9e-5),  # the lowest of equals
        ({1e-3: -math.inf, 3e-3: -math.inf}, None),
        ({1e-3: 0.5}, None),
        ({0.004: 0.5, 0.0041: 0.6}, None),  # too near each other to go on from
        ({10.0**-n: 0.1 * n for n in range(sweep.MOST_RATES)}, None),
    ],
)
def test_a_best_rate_at_the_edge_asks_for_one_beyond_it(devs, beyond):
    assert sweep.further(devs) == beyond


def test_the_sweep_widens_before_the_other_seeds_come():
    where = cell()
    runs = swept(where, {0.1: 0.4, 0.3: 0.5, 1.0: 0.6})
    assert sweep.missing(where, runs, SEEDS, RATES) == [Run(where, 3.0, 0)]
    runs |= swept(where, {3.0: 0.5})
    assert sweep.missing(where, runs, SEEDS, RATES) == [Run(where, 1.0, seed) for seed in (1, 2)]


def test_runs_of_other_files_and_other_seeds_do_not_count():
    where, other = cell(), Cell("tiny", "c" * 16, "intents", "d" * 16, "head", epochs=1)
    runs = swept(other, {0.1: 0.4, 0.3: 0.6, 1.0: 0.5})
    runs[Run(where, 0.1, 1)] = line(Run(where, 0.1, 1), 0.9)
    assert len(sweep.missing(where, runs, SEEDS, RATES)) == len(RATES)


def make_all(path, made, *, stop_after=math.inf):
    """Complete two cells with a fake training that scores best at 0.3."""
    cells = [cell(method="head"), cell(method="full")]

    def train(run):
        if len(made) >= stop_after:
            raise KeyboardInterrupt
        made.append(run)
        return line(run, 1 - abs(run.lr - 0.3)) | {"test": run.seed / 10}

    def todo(runs):
        return [run for c in cells for run in sweep.missing(c, runs, SEEDS, RATES)]

    with ThreadPoolExecutor(2) as pool:
        return sweep.complete(todo, path, train, pool, jobs=2)


def test_an_interrupted_table_goes_on_where_it_stopped(tmp_path):
    path, made = tmp_path / "runs.jsonl", []
    with pytest.raises(KeyboardInterrupt):
        make_all(path, made, stop_after=4)
    before = sweep.read_runs(path)
    assert 0 < len(before) <= 4
    again = []
    runs = make_all(path, again)
    assert len(runs) == len(before) + len(again) == 2 * (len(RATES) + len(SEEDS) - 1)
    assert not set(again) & set(before)
    assert sweep.read_runs(path) == runs
    assert make_all(path, again) == runs


def test_no_test_score_is_said_while_the_table_is_made(tmp_path, capsys):
    make_all(tmp_path / "runs.jsonl", [])
    printed = capsys.readouterr().err
    assert "dev 1.0000" in printed
    assert "0.2" not in printed.replace("0.2000", "").replace("dev 0.3000", "")


@pytest.fixture
def intents(tmp_path, monkeypatch):
    """A data set of three files, in place of the shipped one."""
    texts = {"train": "ab" * 6 + "a", "dev": "abab", "test": "abbb"}
    for split, labels in texts.items():
        rows = [f"{label}\t{label * 3} it {label}" for label in labels]
        (tmp_path / f"{split}.tsv").write_text("\n".join(["label\ttext", *rows]) + "\n")
    data = DataSet(tmp_path, "classify", 1, 3)
    monkeypatch.setitem(sweep.DATA_SETS, "intents", data)
    return data


def test_the_majority_is_that_of_train_and_for_entities_it_finds_none(intents):
    assert score_table.majority_score(intents) == 0.25
    assert score_table.majority_score(sweep.DATA_SETS["ner"]) == 0


def test_a_row_has_mean_deviation_and_rate(intents):
    where = cell()
    runs = swept(where, {0.1: 0.4, 0.3: 0.6, 1.0: 0.5}, test=0.8)
    assert score_table.entry(where, runs, SEEDS) == "0.800 (0.3, 1 of 3)"
    for seed, test in ((1, 0.7), (2, 0.9)):
        runs[Run(where, 0.3, seed)] = line(Run(where, 0.3, seed), 0.6, test)
    assert score_table.entry(where, runs, SEEDS) == "0.800 ± 0.100 (0.3)"
    table = score_table.markdown([where], runs, SEEDS).splitlines()
    assert table[0] == "| base | method | trained | intents acc. |"
    assert table[2] == "| - | majority | 0 | 0.250 |"
    assert table[3] == "| tiny | frozen encoder + head | 7 | 0.800 ± 0.100 (0.3) |"
    assert len(table) == 6  # an empty line and the caption: no remarks


def test_a_best_rate_at_the_edge_is_pointed_out(intents):
    where = cell()
    runs = swept(where, {0.1: 0.4, 0.3: 0.6})
    assert score_table.entry(where, runs, [0]) == r"0.500 (0.3\*)"
    (remark,) = score_table.remarks(where, runs, [0])
    assert remark.endswith("0.3 is at the edge of the rates tried (dev): 0.1 (0.400), 0.3 (0.600)")


def test_a_cell_without_runs_is_empty(intents):
    assert score_table.markdown([cell()], {}, SEEDS).splitlines()[3].endswith("| - | - |")


def test_the_slowest_set_comes_last_and_bases_in_their_order(tmp_path, intents, monkeypatch):
    monkeypatch.setitem(sweep.DATA_SETS, "snips", intents)
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    words = ["--base", f"tiny={tmp_path}", f"large={tmp_path}", "--runs", str(tmp_path / "none")]
    words += ["--dataset", "snips", "intents", "--method", "head"]
    cells = score_table.all_cells(score_table.parse_options(words))
    order = [(c.dataset, c.base, c.epochs) for c in cells]
    assert order == [
        ("intents", "tiny", 3),
        ("intents", "large", 1),
        ("snips", "tiny", 3),
        ("snips", "large", 1),
    ]


@pytest.fixture
def base(tmp_path):
    """Random weights over a vocabulary of letters."""
    source = tmp_path / "letters"
    source.mkdir()
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "it", "a", "b", "##a", "##b"]
    (source / "vocab.txt").write_text("\n".join(pieces) + "\n")
    sizes = {"vocab_size": len(pieces), "max_position_embeddings": 16}
    (source / "config.json").write_text(json.dumps(sizes))
    return make_base(tmp_path / "base", "smallest", source)


def test_a_run_is_a_minilora_train(base, intents, monkeypatch):
    monkeypatch.setattr(kernels, "_active", "reference")
    made = sweep.Trainer({"tiny": base})(Run(cell(method="lora-qv"), 1e-3, 0))
    assert made.keys() == {"dev", "test", "best_epoch", "seconds", "parameters_trained"}
    assert made["test"] in {0.25, 0.5, 0.75, 1.0}
    assert made["parameters_trained"] > 2 * 2 * 2 * 8 * 16


def test_a_run_that_diverges_says_so(base, intents, monkeypatch):
    monkeypatch.setattr(kernels, "_active", "reference")
    made = sweep.Trainer({"tiny": base})(Run(cell(method="full", epochs=3), 1e40, 0))
    assert "not finite" in made["diverged"]
