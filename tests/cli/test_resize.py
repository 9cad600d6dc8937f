import numpy as np
import pytest

from minilora.io import read_updates


def resized_words(adapter, out, *rule):
    return ("resize", adapter, "--out", out, *rule)


def test_the_smaller_adapter_is_the_best_of_its_rank(run, ner_run, tmp_path):
    answer = run(*resized_words(ner_run, tmp_path / "small", "--rank", 2, "--json"))
    assert answer.code == 0
    before, after = read_updates(ner_run), read_updates(tmp_path / "small")
    layers = answer.json["layers"]
    for old, new, layer in zip(before.updates, after.updates, layers, strict=True):
        assert (old.rank, new.rank) == (8, 2)
        lost = np.linalg.norm(old.matrix() - new.matrix()) / np.linalg.norm(old.matrix())
        S = np.linalg.svd(old.matrix(), compute_uv=False)
        assert lost == pytest.approx(np.linalg.norm(S[2:]) / np.linalg.norm(S), rel=1e-4)
        assert layer["error"] == pytest.approx(lost, rel=1e-4)


def test_what_is_kept_of_all_layers_together_is_measured(run, ner_run, tmp_path):
    answer = run(*resized_words(ner_run, tmp_path / "small", "--rank", 2, "--json"))
    energies = [
        [sum(np.linalg.norm(u.matrix()) ** 2 for u in read_updates(folder).updates)]
        for folder in (tmp_path / "small", ner_run)
    ]
    assert answer.json["energy_kept"] == pytest.approx(energies[0][0] / energies[1][0], rel=1e-4)


def test_a_resized_adapter_still_predicts(run, base, ner_run, tmp_path):
    assert run(*resized_words(ner_run, tmp_path / "small", "--energy", 0.9)).code == 0
    words = ("--base", base, "--adapter", tmp_path / "small", "--json", "Anna left Lund .")
    answer = run("predict", *words)
    assert answer.code == 0


def test_a_table_shows_what_each_layer_lost(run, ner_run, tmp_path):
    lines = run(*resized_words(ner_run, tmp_path / "small", "--rank", 2)).out.splitlines()
    assert "minilora resize: --rank 2, 4 layers" in lines
    assert any(line.split()[:3] == ["0.attention.self.query", "8", "2"] for line in lines)
    assert sum(line.startswith("all ") for line in lines) == 1
    assert "before" in lines[-1]
    assert "now, in" in lines[-1]


def test_an_adapter_that_learned_nothing_loses_nothing(run, base, tmp_path, rng):
    from minilora.adapters import LoraConfig, inject
    from minilora.io import save_adapter
    from minilora.nn import BertModel

    model = BertModel.from_pretrained(base)
    inject(model, LoraConfig(r=4, target_modules=["query"]), rng=rng)
    save_adapter(model, tmp_path / "new")
    words = resized_words(tmp_path / "new", tmp_path / "small", "--energy", 0.9, "--json")
    assert run(*words).json["energy_kept"] == 1


@pytest.mark.parametrize(
    ("rule", "mistake"),
    [
        ([], "how much to keep: got none; expected one rule, such as --rank 4"),
        (["--rank", "2", "--energy", "0.9"], "got --rank and --energy"),
        (["--rank", "two"], "--rank: 'two' is not a whole number"),
        (["--rank", "0"], "rank: 0 is no rank"),
        (["--energy", "99"], "energy: 99.0 must lie in (0, 1]"),
        (["--hard-threshold", "nan"], "hard_threshold: noise=nan must be a number"),
        (["--rank", "2", "--max-rank", "0"], "max_rank is 0"),
        (["--rank", "2", "--weighting", "lefft"], "Did you mean 'left'?"),
    ],
)
def test_a_wrong_rule_is_one_line(run, ner_run, tmp_path, rule, mistake):
    answer = run(*resized_words(ner_run, tmp_path / "small", *rule))
    assert answer.code == 2
    assert mistake in answer.err
    assert answer.err.count("\n") == 1
    assert not (tmp_path / "small").exists()


def test_a_folder_in_use_is_refused(run, ner_run, tmp_path):
    (tmp_path / "precious").write_text("mine")
    answer = run(*resized_words(ner_run, tmp_path, "--rank", 2))
    assert (answer.code, answer.out) == (2, "")
    assert (
        answer.err == f"{tmp_path}: is not empty; expected a new or empty folder; choose another\n"
    )


def test_a_file_in_the_way_is_refused(run, ner_run, tmp_path):
    (tmp_path / "precious").write_text("mine")
    answer = run(*resized_words(ner_run, tmp_path / "precious", "--rank", 2))
    assert answer.code == 2
    assert "precious: is a file" in answer.err


def test_a_folder_without_an_adapter_is_refused(run, base, tmp_path):
    answer = run(*resized_words(base, tmp_path / "small", "--rank", 2))
    assert answer.code == 2
    assert "adapter_config.json" in answer.err
