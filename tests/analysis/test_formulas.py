import numpy as np
import pytest
from formula_errors import FORMULAS, main
from formula_table import Formula


@pytest.mark.parametrize("formula", FORMULAS, ids=lambda formula: formula.name)
def test_every_formula_stays_within_its_bound(formula):
    assert formula.worst_error() <= formula.bound


def test_the_worst_error_is_the_largest_of_all_shapes_and_seeds():
    seen = []

    def error(rng, shape):
        seen.append((shape, rng.integers(1000)))
        return len(seen)

    assert Formula("", "", error, 0.0, n_seeds=3).worst_error() == 9
    assert len(set(seen)) == 9


def test_the_table_has_a_row_for_each_formula(capsys, monkeypatch):
    monkeypatch.setattr(Formula, "worst_error", lambda self: 1e-15)
    main()
    rows = capsys.readouterr().out.splitlines()
    assert len(rows) == 2 + len(FORMULAS)
    assert rows[2].endswith("| 1.0e-15 | 1e-12 |")


def test_names_tell_formulas_apart():
    assert len(np.unique([formula.name for formula in FORMULAS])) == len(FORMULAS)
