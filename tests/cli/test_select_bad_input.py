import pytest


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--ranks", "0"], "--ranks is 0; expected a whole number of at least 1"),
        (["--ranks", "1,x"], "--ranks: 'x' is not a whole number"),
        (["--seeds", "0"], "--seeds is 0"),
        (["--workers", "0"], "--workers is 0"),
        (["--folds", "1"], "--folds is 1; expected a whole number of at least 2"),
        (["--folds", "2"], "--folds: scores candidates on parts of --train, so --dev"),
        (["--method", "grid"], "'grid' is not a choice"),
        (["--method", "spectrum"], "--adapter: missing; --method spectrum reads"),
        (["--population", "4"], "--population: is for --method genetic, but the method is sweep"),
        (["--adapter", "x"], "--adapter: is for --method spectrum or allocate"),
        (["--method", "genetic", "--population", "1"], "--population is 1"),
        (["--targets", "querry"], "Did you mean 'query'?"),
        (["--method", "genetic", "--targets", "query,valeu"], "Did you mean 'value'?"),
        (["--sparsities", "1"], "sparsity: got 1.0"),
        (["--budget", "100"], "--budget: 100 parameters are not enough for any candidate; r=1 "),
        (["--max-epochs", "2"], "its first 15 trials take 15 epochs of training"),
        (["--lr", "-1"], "lr is -1.0"),
        (["--alpha", "0"], "lora_alpha is 0.0"),
        (["--dropout", "1"], "lora_dropout is 1.0"),
        (["--rnaks", "1"], "--rnaks: no such option; did you mean --ranks?"),
    ],
)
def test_what_cannot_be_used_is_named_in_one_line(
    run, search_words, here, tmp_path, words, said, trial_rows
):
    answer = run(*search_words, *words, "--out", tmp_path / "out")
    assert answer.code == 2
    assert said in answer.err
    assert answer.err.count("\n") == 1
    assert not (tmp_path / "out" / "results.csv").exists() or trial_rows(tmp_path / "out") == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "--task, --train missing"),
        (["--base", "x", "--task", "ner", "--train", "y"], "x: is no folder here"),
        (["--method", "spectrum", "--adapter", "nowhere"], "nowhere"),
        (["--method", "spectrum"], "--adapter: missing"),
    ],
)
def test_what_is_missing_is_named(run, tmp_path, words, said):
    answer = run("select-rank", *words, "--out", tmp_path / "out")
    assert answer.code == 2
    assert said in answer.err


def test_no_folder_for_the_results_is_said(run, search_words):
    assert run(*search_words).err.startswith("minilora select-rank: --out missing")


def test_a_target_that_the_adapter_lacks_is_said(run, ner_run):
    words = ("select-rank", "--method", "spectrum", "--adapter", ner_run, "--targets", "valeu")
    assert "Did you mean 'value'?" in run(*words).err


def test_when_every_trial_fails_the_reason_is_said_and_kept(
    run, search_words, here, tmp_path, trial_rows
):
    out = tmp_path / "out"
    answer = run(*search_words, "--ranks", "1,2", "--seeds", 1, "--lr", 1e30, "--out", out)
    assert answer.code == 2
    assert "none of 2 trials has a score" in answer.err
    assert "DivergenceError" in answer.err
    assert all("DivergenceError" in row["error"] for row in trial_rows(out))


def test_a_budget_for_nothing_leaves_nothing_behind(run, search_words, tmp_path):
    answer = run(*search_words, "--budget", 1, "--out", tmp_path / "out")
    assert answer.code == 2
    assert not (tmp_path / "out").exists()


def test_a_folder_in_use_is_not_written_to(run, search_words, swept):
    before = (swept / "results.csv").read_bytes()
    answer = run(*search_words, "--out", swept)
    assert answer.code == 2
    assert "holds a run already" in answer.err
    assert (swept / "results.csv").read_bytes() == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--lr", "0.1"], "--lr was 0.003, is 0.1"),
        (["--batch-size", "4"], "--batch-size was 8, is 4"),
        (["--folds", "2"], "--folds"),
        (["--overwrite"], "--resume: goes on with what --overwrite would remove"),
    ],
)
def test_a_search_goes_on_as_it_was_begun(run, swept, words, said):
    answer = run("select-rank", "--out", swept, "--resume", *words)
    assert answer.code == 2
    assert said in answer.err


def test_a_search_goes_on_with_the_same_data_only(run, swept, data):
    answer = run("select-rank", "--out", swept, "--resume", "--train", data / "test.conll")
    assert answer.code == 2
    assert "is not what the run was started with as --train" in answer.err


def test_a_training_is_no_search_to_go_on_with(run, ner_run):
    answer = run("select-rank", "--out", ner_run, "--resume")
    assert answer.code == 2
    assert "holds a training, and no search; go on with: minilora train" in answer.err
