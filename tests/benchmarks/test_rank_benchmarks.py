import json

import factored_svd
import inspect_7b
import pytest


@pytest.fixture
def small(monkeypatch):
    for name, value in {"N_LAYERS": 2, "WIDTH": 40, "RANK": 4, "VOCABULARY": 60}.items():
        monkeypatch.setattr(inspect_7b, name, value)


def test_inspection_is_measured_with_and_without_a_base(small, tmp_path, capsys, monkeypatch):
    out = tmp_path / "inspect.json"
    monkeypatch.setattr("sys.argv", ["inspect_7b.py", "--base-layers", "1", "--json", str(out)])
    inspect_7b.main()
    printed = capsys.readouterr().out
    assert "| adapter alone | 8 |" in printed
    assert "| adapter and base | 4 |" in printed
    results = json.loads(out.read_text())
    assert results["with_base"]["largest_tensor_bytes"] == 60 * 40 * 2
    assert 0 < results["adapter"]["seconds"] < 60
    assert results["adapter"]["peak_bytes"] > results["adapter"]["bytes_before"] > 1e6


def test_both_svds_are_measured_and_compared(capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["factored_svd.py", "--side", "200", "--rank", "3"])
    factored_svd.main()
    printed = capsys.readouterr().out
    assert "| factored |" in printed
    assert "times as fast" in printed
    gap = float(printed.split("singular values differ by ")[1].split()[0])
    assert gap < 1e-12
