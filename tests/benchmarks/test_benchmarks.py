import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import report
from compare_runs import row
from corpora import IGNORED, Pieces, align, read_conll, read_tsv, tag_names
from worker import Worker, WorkerError
from workloads import Sentences, Workload, load_batches, save_batches

HERE = Path(__file__).parent


class LetterTokenizer:
    """A piece a letter, [CLS] = 1 and [SEP] = 2; digits vanish."""

    def __call__(self, words, *, is_split_into_words, truncation, max_length):
        assert is_split_into_words
        assert truncation
        pieces = [(i, ord(c)) for i, word in enumerate(words) for c in word if not c.isdigit()]
        return LetterEncoding(pieces[: max_length - 2])


class LetterEncoding(dict):
    def __init__(self, pieces):
        super().__init__(input_ids=[1, *(c for _, c in pieces), 2])
        self.words = [None, *(i for i, _ in pieces), None]

    def word_ids(self):
        return self.words


@pytest.fixture
def sentences():
    """Sentences without a corpus: lengths 3 to 9, each id its own."""
    made = object.__new__(Sentences)
    made.sequences = [
        ([1, *range(100 * n, 100 * n + n), 2], [IGNORED, *[0] * n, IGNORED]) for n in range(1, 8)
    ]
    return made


def test_conll_sentences_end_at_an_empty_line(tmp_path):
    path = tmp_path / "a.conll"
    path.write_text("Rome\tB-LOC\nfell\tO\n\nYes\tO\n\n")
    first, second = read_conll(path)
    assert (first.words, first.tags, second.words) == (["Rome", "fell"], ["B-LOC", "O"], ["Yes"])
    assert tag_names([first, second]) == ["O", "B-LOC", "I-LOC"]


def test_quotes_in_a_tsv_are_ordinary_characters(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text('label\ttext\ngood\t"so so\n')
    assert [(e.label, e.text) for e in read_tsv(path)] == [("good", '"so so')]


def test_the_first_piece_of_a_word_has_its_label_and_lost_words_have_none(tmp_path):
    path = tmp_path / "a.conll"
    path.write_text("ab\tB-X\n7\tO\ncd\tO\nef\tO\n")
    (sentence,) = read_conll(path)
    pieces = align(LetterTokenizer(), sentence, {"B-X": 3, "O": 0}, max_length=6)
    assert pieces == Pieces(
        input_ids=[1, *map(ord, "abcd"), 2],
        label_ids=[IGNORED, 3, IGNORED, 0, IGNORED, IGNORED],
        first=[1, -1, 3, -1],
    )


def test_a_workload_reads_as_it_is_written():
    for text in ("train:real:32", "infer:128:16"):
        assert str(Workload.parse(text)) == text
    with pytest.raises(ValueError, match="evaluate"):
        Workload.parse("evaluate:real:32")


def test_real_batches_hold_the_sentences_in_order(sentences):
    first, *_ = batches = sentences.batches(Workload.parse("train:real:2"))
    assert [list(batch.lengths) for batch in batches] == [[3, 4], [5, 6], [7, 8]]
    assert first.input_ids.tolist() == [1, 100, 2, 1, 200, 201, 2]
    assert first.padding == pytest.approx(1 / 8)


def test_fixed_length_batches_lose_no_text_before_the_last_cut(sentences):
    batches = sentences.batches(Workload.parse("train:6:3"))
    assert all(set(batch.lengths) == {6} and batch.padding == 0 for batch in batches)
    text = [i for ids, _ in sentences.sequences for i in ids[1:-1]]
    inner = [i for batch in batches for i in batch.input_ids if i not in (1, 2)]
    assert inner == text[: len(inner)]


def test_sorting_by_length_saves_padding_and_keeps_every_sentence(sentences):
    sentences.sequences = sentences.sequences[::2] + sentences.sequences[1::2]
    workload = Workload.parse("train:real:7")
    (plain,) = sentences.batches(workload)
    (ordered,) = sentences.batches(workload, by_length=True)
    assert sorted(plain.input_ids) == sorted(ordered.input_ids)
    assert list(ordered.lengths) == sorted(plain.lengths)


def test_batches_survive_the_file_between_the_processes(sentences, tmp_path):
    batches = sentences.batches(Workload.parse("train:real:2"))
    save_batches(tmp_path / "b.npz", batches)
    for before, after in zip(batches, load_batches(tmp_path / "b.npz"), strict=True):
        for name, array in vars(before).items():
            np.testing.assert_array_equal(getattr(after, name), array)


def side(losses, seconds):
    return {"losses": losses, "seconds": seconds, "cpu_seconds": seconds, "peak": 100}


def test_the_ratio_is_taken_pair_by_pair():
    versus = report.compare(side([1.0], [1, 4, 2]), side([1.0], [2, 4, 8]), same_arithmetic=True)
    assert versus["ratio"] == {"median": 0.5, "q1": 0.375, "q3": 0.75, "min": 0.25, "max": 1.0}


@pytest.mark.parametrize("loss", [1.0021, math.nan])
def test_no_ratio_is_given_when_the_losses_differ(loss):
    versus = report.compare(side([1, loss], [1]), side([1, 1], [2]), same_arithmetic=True)
    assert versus["ratio"] is None
    assert report.ratio_cells(versus["ratio"])[0] == "refused"


def test_other_arithmetic_may_give_other_losses():
    versus = report.compare(side([1.0], [1]), side([1.1], [2]), same_arithmetic=False)
    assert versus["ratio"]["median"] == 0.5


def test_the_difference_of_runs_has_welchs_standard_error():
    name, seeds, ours, theirs, difference, p = row("x", [0.5, 0.7], [0.4, 0.5, 0.6])
    assert (name, seeds, ours, theirs) == ("x", "2", "60.00 ± 14.14", "50.00 ± 10.00")
    assert difference == f"+10.00 ± {100 * math.sqrt(0.02 / 2 + 0.01 / 3):.2f}"
    assert 0 < float(p) < 1


@pytest.fixture
def echo(tmp_path):
    """A worker that answers, fails, burns CPU in the background, or dies."""
    script = tmp_path / "echo.py"
    script.write_text(
        f"import sys, os, threading\nsys.path.insert(0, {str(HERE)!r})\n"
        "from worker import serve\n"
        "def say(text): print('noise'); return {'said': text}\n"
        "def fail(): raise KeyError('broken')\n"
        "rested = threading.Event()\n"
        "def spin():\n"
        "    while not rested.is_set(): pass\n"
        "def burn(): threading.Thread(target=spin, daemon=True).start(); return {}\n"
        "def rest(): rested.set(); return {}\n"
        "def die(): os._exit(3)\n"
        "serve({f.__name__: f for f in (say, fail, burn, rest, die)})\n"
    )
    with Worker(str(script)) as worker:
        yield worker


def test_what_a_library_prints_does_not_get_between_the_answers(echo):
    assert echo.ask("say", text="hello") == {"said": "hello"}


def test_a_failure_in_the_other_process_brings_its_traceback(echo):
    with pytest.raises(WorkerError, match="KeyError: 'broken'"):
        echo.ask("fail")


def test_the_end_of_the_other_process_is_an_error_with_its_exit_code(echo):
    with pytest.raises(WorkerError, match="exit code 3"):
        echo.ask("die")


@pytest.mark.skipif(sys.platform != "linux", reason="reads another process's CPU clock")
def test_waiting_lasts_until_background_threads_stop_spinning(echo):
    echo.ask("burn")
    assert echo.wait_until_idle(still=0.1, at_most=0.5) >= 0.5
    echo.ask("rest")
    assert echo.wait_until_idle(still=0.1, at_most=60) < 60


def measured(script, out, *words):
    """What a script writes, told to make it short."""
    words = [*words, "--threads", 1, "--pairs", 2, "--json", out]
    subprocess.run([sys.executable, str(HERE / script), *map(str, words)], check=True)
    return json.loads(out.read_text())["steps"]


@pytest.mark.oracle
@pytest.mark.slow
@pytest.mark.parametrize("method", ["lora", "full"])
def test_both_sides_take_the_same_steps(minilm_dir, shared_data, tmp_path, method):
    words = ["--base", minilm_dir, "--workload", "train:real:4", "infer:32:2", "--cold-starts", 1]
    for step in measured("train_step.py", tmp_path / "steps.json", *words, "--method", method):
        assert step["against"]["torch"]["loss_difference"] < 1e-4
        assert min(step["floor"]["seconds"]) > 0


@pytest.mark.oracle
@pytest.mark.slow
def test_every_row_of_the_ladder_takes_the_same_steps(minilm_dir, shared_data, tmp_path):
    words = ["--base", minilm_dir, "--random", "smallest", "--workload", "train:real:4"]
    (step,) = measured("ladder.py", tmp_path / "ladder.json", *words)
    _, *others = step["against_torch"].values()  # all but the padded one
    assert all(row["loss_difference"] < 1e-4 for row in others)
