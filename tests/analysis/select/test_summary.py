import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minilora.analysis.select import Candidate, Summary, pareto_front, recommend, summarise
from minilora.errors import NumericError


def test_scores_are_gathered_by_candidate_the_smallest_first(result):
    small, large = summarise([result(0.5, 8), result(0.2, 1), result(0.7, 8, seed=1)])
    assert (small.candidate.r, small.scores) == (1, (0.2,))
    assert (large.candidate.r, large.scores) == (8, (0.5, 0.7))


def test_mean_deviation_and_error_are_the_textbook_s(result):
    (found,) = summarise([result(s, seed=i) for i, s in enumerate([0.1, 0.2, 0.6])])
    assert found.mean == pytest.approx(0.3)
    assert found.sd == pytest.approx(math.sqrt((0.04 + 0.01 + 0.09) / 2))
    assert found.se == pytest.approx(found.sd / math.sqrt(3))


def test_one_score_has_no_deviation(result):
    (found,) = summarise([result(0.5)])
    assert (found.sd, found.se) == (None, None)


def test_only_the_longest_training_of_a_candidate_counts(result):
    (found,) = summarise([result(0.9, epochs=1), result(0.4, epochs=4), result(0.8, epochs=2)])
    assert (found.epochs, found.scores) == (4, (0.4,))


def test_failures_are_kept_with_their_reasons(result):
    (found,) = summarise([result(0.5), result(None, seed=1, error="ValueError: no")])
    assert found.scores == (0.5,)
    assert found.errors == ("ValueError: no",)


def test_the_front_leaves_out_what_something_smaller_does_as_well(result):
    scores = {1: 0.3, 2: 0.6, 4: 0.6, 8: 0.5, 16: 0.7, 32: None}
    front = pareto_front(summarise([result(s, r) for r, s in scores.items()]))
    assert [summary.candidate.r for summary in front] == [1, 2, 16]


SUMMARIES = st.lists(
    st.builds(
        lambda r, scores, errors: Summary(
            candidate=Candidate(r=r, n_parameters=8 * r), epochs=1, scores=scores, errors=errors
        ),
        st.integers(1, 9),
        st.lists(st.sampled_from([0.1, 0.2, 0.3, 0.4]), max_size=3).map(tuple),
        st.lists(st.just("ValueError: no"), max_size=1).map(tuple),
    ),
    max_size=7,
    unique_by=lambda summary: summary.candidate,
)


def beats(one, other):
    """Whether ``one`` is as good in score and in size, and better in one of them."""
    mine, its = ((s.mean, -s.candidate.n_parameters) for s in (one, other))
    return mine != its and all(a >= b for a, b in zip(mine, its, strict=True))


@given(SUMMARIES)
def test_the_front_is_all_that_nothing_beats(summaries):
    scored = [summary for summary in summaries if summary.scores]
    expected = [one for one in scored if not any(beats(other, one) for other in scored)]
    expected.sort(key=lambda summary: summary.candidate.n_parameters)
    assert pareto_front(summaries) == expected


@given(SUMMARIES.filter(lambda summaries: any(s.scores and not s.errors for s in summaries)))
def test_what_is_recommended_is_on_the_front_of_what_never_failed(summaries):
    complete = [s for s in summaries if s.scores and not s.errors]
    found = recommend(summaries)
    assert found.best.mean == max(s.mean for s in complete)
    assert found.best.mean - found.chosen.mean <= (found.best.se or 0) + 1e-12
    smaller = [
        s for s in complete if s.candidate.n_parameters < found.chosen.candidate.n_parameters
    ]
    assert all(s.mean < found.best.mean - (found.best.se or 0) for s in smaller)
    assert found.chosen in pareto_front(complete)


def trials(result, **scores_of):
    return [
        result(score, int(rank[1:]), seed=seed, error="" if score is not None else "OSError: full")
        for rank, scores in scores_of.items()
        for seed, score in enumerate(scores)
    ]


def test_the_smallest_within_one_standard_error_of_the_best_is_taken(result):
    # r=8 is best: mean 0.72, sd 0.02, standard error 0.0115
    results = trials(
        result,
        r1=(0.60, 0.62, 0.61),
        r2=(0.71, 0.72, 0.70),
        r4=(0.71, 0.71, 0.73),
        r8=(0.70, 0.72, 0.74),
    )
    found = recommend(summarise(results), score_name="F1")
    assert (found.chosen.candidate.r, found.best.candidate.r) == (2, 8)
    assert found.reason == (
        "r=2 query+value is the smallest within one standard error (0.0115) of the best: "
        "F1 0.7100 ± 0.0100 (3 trials), where r=8 query+value has 0.7200; it takes 25% of the "
        "parameters."
    )


def test_the_best_is_taken_when_nothing_smaller_comes_close(result):
    found = recommend(summarise(trials(result, r1=(0.5, 0.5), r2=(0.70, 0.72), r4=(0.6, 0.6))))
    assert found.chosen is found.best
    assert found.reason == (
        "r=2 query+value has the best score, 0.7100 ± 0.0141 (2 trials), and nothing smaller is "
        "within one standard error (0.0100) of it."
    )


def test_of_equal_means_the_smaller_is_the_best(result):
    found = recommend(summarise(trials(result, r1=(0.5,), r2=(0.7,), r4=(0.7,))))
    assert found.best.candidate.r == 2


def test_without_repetition_the_best_is_taken_and_the_reason_says_what_is_missing(result):
    found = recommend(summarise(trials(result, r1=(0.699,), r4=(0.7,))))
    assert found.chosen.candidate.r == 4
    assert found.reason.endswith("more seeds or folds would tell what chance did.")


def test_what_failed_sometimes_is_not_recommended(result):
    found = recommend(summarise(trials(result, r1=(0.9, None), r4=(0.5, 0.6))))
    assert found.chosen.candidate.r == 4


def test_what_failed_sometimes_is_better_than_nothing(result):
    found = recommend(summarise(trials(result, r1=(0.9, None), r4=(None, None))))
    assert found.chosen.candidate.r == 1


def test_what_was_dropped_early_is_not_compared_with_what_was_trained_in_full(result):
    results = [result(0.9, 1, epochs=1), result(0.5, 2, epochs=4), result(0.6, 4, epochs=4)]
    assert recommend(summarise(results)).chosen.candidate.r == 4


def test_a_search_without_results_is_said():
    with pytest.raises(NumericError, match="none of 0 trials has a score"):
        recommend([])


def test_when_everything_failed_the_first_reason_is_given(result):
    with pytest.raises(NumericError, match=r"none of 2 trials has a score.*OSError: full"):
        recommend(summarise(trials(result, r1=(None, None))))
