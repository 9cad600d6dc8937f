import numpy as np
import pytest

from minilora.adapters import LoraConfig, inject
from minilora.io import read_updates, save_adapter
from minilora.nn import BertModel


@pytest.fixture
def make_adapter(base, tmp_path):
    """make_adapter("name", seed): random LoRA factors of rank 3 on query and value of the base."""

    def make(name, seed=0, targets=("query", "value"), size=1.0):
        rng = np.random.default_rng(seed)
        model = BertModel.from_pretrained(base)
        inject(model, LoraConfig(r=3, target_modules=list(targets)), rng=rng)
        for path, parameter in model.named_parameters():
            if "lora_B" in path:
                parameter.data[:] = size * rng.standard_normal(parameter.shape)
        save_adapter(model, tmp_path / name)
        return tmp_path / name

    return make


@pytest.fixture
def adapter(make_adapter):
    return make_adapter("adapter")


def test_every_layer_has_a_line_and_advice_follows(run, adapter):
    answer = run("inspect", adapter)
    assert answer.code == 0
    lines = answer.out.splitlines()
    assert lines[0] == f"minilora inspect: {adapter}, 4 layers"
    shown = [line.split()[0] for line in lines if ".attention.self." in line]
    assert shown == [f"{i}.attention.self.{kind}" for i in range(2) for kind in ("query", "value")]
    assert sum(line.startswith("- r=3 uses ") for line in lines) == 1


def test_the_table_shows_what_was_measured(run, adapter):
    update = read_updates(adapter).updates[0]
    lines = run("inspect", adapter).out.splitlines()
    cells = next(line for line in lines if line.startswith("0.attention.self.query")).split()
    S = np.linalg.svd(update.matrix(), compute_uv=False)[:3]
    assert int(cells[1]) == 3
    assert float(cells[3]) == pytest.approx(np.sum(S**2) / S[0] ** 2, abs=1e-3)
    assert float(cells[5]) == pytest.approx(np.linalg.norm(S), abs=1e-3)


def test_a_base_adds_columns(run, adapter, base):
    without, with_base = run("inspect", adapter), run("inspect", adapter, "--base", base)
    assert "amplified" not in without.out
    header = next(line for line in with_base.out.splitlines() if line.startswith("layer"))
    assert header.split()[-5:] == ["base", "amplified", "by", "chance", "intruders"]


def test_every_column_is_explained(run, adapter, base):
    lines = run("inspect", adapter, "--base", base).out.splitlines()
    for name in ("effective", "stable", "99 %", "size", "of base", "amplified", "intruders"):
        assert any(line.startswith(f"{name} ") for line in lines)


def test_without_a_base_a_note_says_what_it_would_add(run, ner_run, base):
    note = f"note: --base with the folder of {base} shows what becomes of its weights"
    assert note in run("inspect", ner_run).out
    assert note not in run("inspect", ner_run, "--base", base).out


def test_what_is_not_measured_is_noted_once(run, ner_run):
    assert run("inspect", ner_run).out.count("note: The file holds whole modules as well") == 1


def test_json_is_the_whole_report(run, ner_run, base):
    answer = run("inspect", ner_run, "--base", base, "--json")
    assert answer.out.count("\n") == 1
    found = answer.json
    assert found["command"] == "inspect"
    assert len(found["layers"]) == 4
    assert found["layers"][0]["base"]["amplification"]["both"] > 0
    assert found["ledger"]["lora"]["parameters_trained"] == 4 * 8 * (16 + 16)
    assert found["comparison"] is None
    assert found["files"] == []
    assert any("whole modules" in note for note in found["notes"])


def test_another_adapter_is_compared_layer_by_layer(run, make_adapter):
    one, two = make_adapter("one", 1), make_adapter("two", 2, ("query", "key"))
    answer = run("inspect", one, "--compare", two)
    assert answer.code == 0
    assert f"beside {two}" in answer.out
    assert "in this adapter alone: 2 layers" in answer.out
    assert "in the other adapter alone: 2 layers" in answer.out
    comparison = run("inspect", one, "--compare", two, "--json").json["comparison"]
    assert len(comparison["layers"]) == 2
    assert abs(comparison["layers"][0]["cosine"]) < 0.9


def test_an_adapter_is_like_itself(run, adapter):
    (layer, *_) = run("inspect", adapter, "--compare", adapter, "--json").json["comparison"][
        "layers"
    ]
    assert layer["cosine"] == pytest.approx(1)
    assert layer["distance"] == pytest.approx(0, abs=1e-6)


def test_an_adapter_that_learned_nothing_is_said_to(run, make_adapter, base, tmp_path):
    zero = make_adapter("zero", size=0.0)
    words = ("--base", base, "--compare", zero, "--report", tmp_path / "zero.html")
    answer = run("inspect", zero, *words)
    assert answer.code == 0
    assert "- Nothing was learned" in answer.out


def test_a_report_is_a_page_and_its_figure(run, adapter, base, tmp_path):
    page = tmp_path / "reports" / "ner.html"
    answer = run("inspect", adapter, "--base", base, "--report", page)
    assert answer.code == 0
    names = ["ner.html", "ner.png", "ner.svg"]
    assert sorted(path.name for path in page.parent.iterdir()) == names
    assert page.read_text("utf-8").startswith("<!doctype html>")
    files = ", ".join(str(page.parent / name) for name in names)
    assert answer.out.splitlines()[-1] == f"written: {files}"


def test_a_report_may_be_written_again(run, adapter, tmp_path):
    for _ in range(2):
        assert run("inspect", adapter, "--report", tmp_path / "ner.html").code == 0


@pytest.mark.parametrize("name", ["report", "adapter_model.safetensors", "ner.png"])
def test_a_report_that_is_no_page_is_refused(run, adapter, tmp_path, name):
    answer = run("inspect", adapter, "--report", tmp_path / name)
    assert answer.code == 2
    assert "is no page; expected a name such as report.html" in answer.err
    assert answer.err.count("\n") == 1


def test_a_folder_in_the_place_of_a_report_is_refused(run, adapter, tmp_path):
    (tmp_path / "ner.html").mkdir()
    answer = run("inspect", adapter, "--report", tmp_path / "ner.html")
    assert answer.code == 2
    assert "ner.html: is a folder" in answer.err


def test_a_base_of_another_size_is_refused(run, adapter, make_base, tmp_path):
    answer = run("inspect", adapter, "--base", make_base(tmp_path / "small", hidden_size=8))
    assert (answer.code, answer.out) == (2, "")
    assert "expected the model that the adapter was trained on" in answer.err
    assert answer.err.count("\n") == 1


@pytest.mark.parametrize("words", [["--base", "nowhere"], ["--compare", "nowhere"]])
def test_a_folder_that_is_not_there_is_refused(run, adapter, words):
    answer = run("inspect", adapter, *words)
    assert answer.code == 2
    assert answer.err.startswith("nowhere: ")
    assert answer.err.count("\n") == 1


def test_a_folder_without_an_adapter_is_refused(run, base):
    answer = run("inspect", base)
    assert answer.code == 2
    assert "adapter_config.json" in answer.err


def test_a_missing_adapter_is_refused(run):
    answer = run("inspect")
    assert answer.code == 2
    assert "ADAPTER" in answer.err
