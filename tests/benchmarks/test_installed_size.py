from importlib.metadata import PackageNotFoundError, PathDistribution

import installed_size
import pytest


@pytest.fixture
def environment(tmp_path, monkeypatch):
    """a requires b and, for an extra, c; b requires a again."""
    needs = {"a": ["B>=1", 'c; extra == "more"'], "b": ['a; python_version > "3"'], "c": []}
    for name, some in needs.items():
        info = tmp_path / f"{name}.dist-info"
        info.mkdir()
        lines = ["Metadata-Version: 2.1", f"Name: {name}", "Version: 1"]
        lines += [f"Requires-Dist: {need}" for need in some]
        (info / "METADATA").write_text("\n".join(lines) + "\n")
        (info / "RECORD").write_text(f"{name}.py,,\n{name}.pyc,,\n{name}_lost.py,,\n")
        (tmp_path / f"{name}.py").write_bytes(b"x" * 1_000_000)
        (tmp_path / f"{name}.pyc").write_bytes(b"x" * 10)

    def distribution(name):
        if name not in needs:
            raise PackageNotFoundError(name)
        return PathDistribution(tmp_path / f"{name}.dist-info")

    monkeypatch.setattr(installed_size, "distribution", distribution)
    return needs


def test_what_is_required_counts_once_and_extras_not_at_all(environment):
    assert sorted(installed_size.closure(["a"])) == ["a", "b"]


def test_files_that_are_there_are_counted_and_compiled_ones_are_not(environment):
    (package,) = installed_size.closure(["c"]).values()
    assert installed_size.size(package) == 1_000_000


def test_the_ratio_of_both_sides_is_printed(environment, monkeypatch, capsys):
    monkeypatch.setattr(installed_size, "SIDES", {"ours": ["c"], "theirs": ["a", "b"]})
    installed_size.main([])
    assert capsys.readouterr().out.endswith("ratio 0.500\n")


def test_a_side_that_is_not_installed_is_named(environment, monkeypatch, capsys):
    monkeypatch.setattr(installed_size, "SIDES", {"ours": ["c"], "theirs": ["torch"]})
    with pytest.raises(SystemExit):
        installed_size.main([])
    assert "torch: not installed" in capsys.readouterr().err
