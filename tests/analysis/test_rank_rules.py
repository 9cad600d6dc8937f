import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minilora.analysis import RULES, RankRule
from minilora.analysis.rank_rules import sv_cumulative, sv_fro, sv_ratio
from minilora.errors import ConfigError, NumericError
from minilora.linalg import svd, truncation_error

S = np.array([8.0, 4.0, 2.0, 1.0])  # sums 8, 12, 14, 15; energies 64, 80, 84, 85
SHAPE = (6, 5)
spectra = st.lists(st.floats(0.01, 100), min_size=2, max_size=9).map(
    lambda values: np.sort(np.array(values))[::-1]
)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("rank", 3, 3),
        ("rank", 9, 4),
        ("energy", 0.75, 1),
        ("energy", 0.76, 2),
        ("energy", 1.0, 4),
        ("nuclear", 0.75, 2),
        ("error", 0.6, 1),  # the rest has √21 of √85, 0.497
        ("error", 0.4, 2),  # √5 of √85, 0.24
        ("error", 0.0, 4),
        ("stable_rank", 1.0, 2),  # 85 / 64
        ("stable_rank", 2.0, 3),
        ("effective_rank", 1.0, 4),  # 3.1
        ("threshold", 1.5, 3),
        ("threshold", 100.0, 1),
        ("sv_ratio", 3.0, 3),  # two above 8/3, and one more
        ("sv_fro", 0.96, 3),  # 0.96² of the energy in two, and one more
        ("sv_cumulative", 0.75, 3),  # 0.75 of the sum in two, and one more
    ],
)
def test_each_rule_keeps_what_it_says(name, value, expected):
    assert RankRule(name, value).rank(S, SHAPE) == expected


def test_an_error_that_is_just_the_bound_is_within_it():
    assert RankRule("error", 0.6).rank(np.array([4.0, 3.0]), (2, 2)) == 1  # 3 of 5


@given(spectra, st.floats(0.0, 0.99))
def test_the_error_rule_is_the_smallest_rank_within_the_bound(values, bound):
    k = RankRule("error", bound).rank(values, (9, 9))
    size = truncation_error(values, 0)[0]
    assert truncation_error(values, k)[0] <= bound * size * (1 + 1e-12)
    if k > 1:
        assert truncation_error(values, k - 1)[0] > bound * size * (1 - 1e-12)


def kohya_index(values, rule, target, *, fixed):
    """networks/resize_lora.py, re-derived: an index, which rank_resize adds 1 to."""
    if rule == "sv_ratio":
        index = np.sum(values > values[0] / target)
    elif rule == "sv_fro":
        index = np.searchsorted(np.cumsum(values**2) / np.sum(values**2), target**2) + 1
    else:
        index = np.searchsorted(np.cumsum(values) / np.sum(values), target) + 1
    if fixed:
        return max(0, min(index - 1, len(values) - 1))
    return max(1, min(index, len(values) - 1))


KOHYA = {"sv_ratio": sv_ratio, "sv_fro": sv_fro, "sv_cumulative": sv_cumulative}


@pytest.mark.parametrize("name", KOHYA)
@pytest.mark.parametrize("fixed", [False, True], ids=["off by one", "since pull request 2194"])
@given(values=spectra, share=st.floats(0.01, 0.999))
def test_kohyas_rules_are_kohyas(name, fixed, values, share):
    target = 1 / share if name == "sv_ratio" else share
    shape = (len(values), 12)  # kohya decomposes the dense product: min(m, n) singular values
    expected = kohya_index(values, name, target, fixed=fixed) + 1
    assert KOHYA[name](values, target, shape, extra=0 if fixed else 1) == expected
    if not fixed:
        assert RankRule(name, target).rank(values, shape) == min(expected, len(values))


def test_the_hard_threshold_finds_a_planted_rank(rng):
    U, V = (np.linalg.qr(rng.standard_normal((d, 3)))[0] for d in (60, 80))
    X = 100 * U @ V.T + rng.standard_normal((60, 80))
    values = svd(X).S
    assert RankRule("hard_threshold", 1.0).rank(values, X.shape) == 3
    assert RankRule("hard_threshold", 0).rank(values, X.shape) == 3


def test_the_hard_threshold_says_why_it_refuses_a_lora_update():
    with pytest.raises(NumericError, match="LoRA update"):
        RankRule("hard_threshold", 0).rank(S, (60, 80))
    assert RankRule("hard_threshold", 0.1).rank(S, (60, 80)) == 3  # the noise is known


@pytest.mark.parametrize("name", sorted(RULES))
def test_a_zero_update_keeps_one_direction(name):
    value = 3.0 if name in ("rank", "sv_ratio") else 0.9
    assert RankRule(name, value).rank(np.zeros(3), SHAPE) == 1


def test_a_zero_update_has_no_noise_to_find():
    assert RankRule("hard_threshold", 0).rank(np.zeros(4), (4, 4)) == 1


@pytest.mark.parametrize("name", sorted(RULES))
def test_a_single_singular_value_is_kept(name):
    value = 0.9 if name not in ("rank", "stable_rank", "sv_ratio") else 1
    assert RankRule(name, value).rank(np.ones(1), (1, 5)) == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rank", 0),
        ("rank", 1.5),
        ("rank", float("nan")),
        ("energy", 0),
        ("energy", 1.1),
        ("nuclear", float("nan")),
        ("error", 1),
        ("error", -0.1),
        ("stable_rank", 0),
        ("effective_rank", float("inf")),
        ("threshold", -1),
        ("hard_threshold", -1),
        ("sv_ratio", 0),
        ("sv_fro", 2),
        ("sv_cumulative", 0),
    ],
)
def test_a_number_that_makes_no_sense_is_refused(name, value):
    with pytest.raises(ConfigError, match=name):
        RankRule(name, value).rank(S, SHAPE)


def test_an_unknown_rule_is_refused_with_a_suggestion():
    with pytest.raises(ConfigError, match="Did you mean 'energy'"):
        RankRule("enrgy", 0.9)
