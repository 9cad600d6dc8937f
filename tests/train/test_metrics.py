"""By hand and by laws; tests/oracle/test_entity_f1.py compares with seqeval."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minilora.errors import DataError, ShapeError
from minilora.train import Score, accuracy, class_scores, confusion_matrix, entity_scores

TAGS = st.lists(st.sampled_from(["O", "B-X", "I-X", "B-Y", "I-Y"]), max_size=8)
PAIRS = st.lists(
    TAGS.flatmap(lambda gold: st.tuples(st.just(gold), st.permutations(gold))), max_size=5
)


def sentences(text):
    return [line.split() for line in text.splitlines()]


GOLD = sentences("B-PER I-PER O B-LOC\nO B-PER O\nB-ORG")
PREDICTED = sentences("B-PER I-PER O B-ORG\nO B-PER I-PER\nB-ORG")


def test_entities_are_right_when_type_and_both_ends_are():
    scores = entity_scores(GOLD, PREDICTED)
    assert scores.types == {
        "LOC": Score(0.0, 0.0, 0.0, 1),
        "ORG": Score(1 / 2, 1.0, pytest.approx(2 / 3), 1),
        "PER": Score(1 / 2, 1 / 2, 1 / 2, 2),
    }


def test_three_ways_to_average():
    scores = entity_scores(GOLD, PREDICTED)
    assert scores.micro == Score(2 / 4, 2 / 4, 1 / 2, 4)
    assert scores.macro.f1 == pytest.approx((0 + 2 / 3 + 1 / 2) / 3)
    assert scores.weighted.f1 == pytest.approx((0 + 2 / 3 + 2 * 1 / 2) / 4)


def test_no_entity_crosses_from_one_sentence_to_the_next():
    assert entity_scores([["B-X"], ["I-X"]], [["B-X"], ["I-X"]]).micro.support == 2


def test_an_entity_that_starts_with_i_counts_by_default_but_not_strictly():
    gold, predicted = [["B-X", "O"]], [["I-X", "O"]]
    assert entity_scores(gold, predicted).micro.f1 == 1.0
    assert entity_scores(gold, predicted, scheme="strict").micro.f1 == 0.0


@pytest.mark.parametrize("scheme", ["conll", "strict"])
def test_nothing_found_where_nothing_is_scores_zero(scheme):
    scores = entity_scores([["O", "O"], []], [["O", "O"], []], scheme=scheme)
    nothing = Score(0.0, 0.0, 0.0, 0)
    assert (scores.micro, scores.macro, scores.weighted, scores.types) == (nothing,) * 3 + ({},)


@given(PAIRS)
def test_gold_against_itself_is_perfect(pairs):
    gold = [tags for tags, _ in pairs]
    scores = entity_scores(gold, gold)
    assert all(score.f1 == 1.0 for score in scores.types.values())


@given(PAIRS)
def test_swapping_gold_and_predicted_swaps_precision_and_recall(pairs):
    gold, predicted = [g for g, _ in pairs], [list(p) for _, p in pairs]
    one, other = entity_scores(gold, predicted).micro, entity_scores(predicted, gold).micro
    assert (one.precision, one.recall) == (other.recall, other.precision)
    assert one.f1 == pytest.approx(other.f1, rel=1e-15)


@pytest.mark.parametrize("f", [entity_scores, accuracy])
@pytest.mark.parametrize(
    ("gold", "predicted", "said"),
    [
        ([["O"], ["O", "O"]], [["O"], ["O"]], "sentence 1 has 2 and 1 tags"),
        ([["O"]], [["O"], ["O"]], "1 and 2 sentences"),
    ],
)
def test_sentences_that_do_not_pair_up_are_refused(f, gold, predicted, said):
    with pytest.raises(ShapeError, match=said):
        f(gold, predicted)


def test_accuracy_counts_words():
    assert accuracy(GOLD, PREDICTED) == 6 / 8
    assert accuracy([], []) == 0.0


def test_the_confusion_matrix_has_gold_along_its_rows():
    confusion = confusion_matrix(np.array([0, 0, 1, 2]), np.array([0, 1, 1, 0]), 4)
    np.testing.assert_array_equal(
        confusion, [[1, 1, 0, 0], [0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]
    )


def test_classes_that_never_occur_do_not_count_in_the_macro_average():
    scores = class_scores(np.array([[1, 1, 0], [0, 2, 0], [0, 0, 0]]), ["a", "b", "never"])
    assert scores.types == {
        "a": Score(1.0, 1 / 2, pytest.approx(2 / 3), 2),
        "b": Score(pytest.approx(2 / 3), 1.0, pytest.approx(4 / 5), 2),
    }
    assert scores.macro.f1 == pytest.approx((2 / 3 + 4 / 5) / 2)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1))
def test_micro_scores_of_classes_are_the_accuracy(pairs):
    gold, predicted = np.array(pairs).T
    scores = class_scores(confusion_matrix(gold, predicted, 4), "abcd")
    share = (gold == predicted).mean()
    assert (scores.micro.precision, scores.micro.recall) == (share, share)


@pytest.mark.parametrize(
    ("gold", "predicted", "message"),
    [([0], [2], "predicted has int64 from 2 to 2"), ([3, 0], [0, 0], "gold has int64 from 0 to 3"),
     ([-100], [0], "gold has"), ([0.0], [1.0], "gold has float64")],
)  # fmt: skip
def test_what_is_no_class_is_refused(gold, predicted, message):
    with pytest.raises(DataError, match=f"{message}.*expected integers from 0 to 1"):
        confusion_matrix(np.array(gold), np.array(predicted), 2)


def test_a_confusion_matrix_needs_a_prediction_for_each():
    with pytest.raises(ShapeError, match="one prediction for each"):
        confusion_matrix(np.zeros(3, int), np.zeros(2, int), 2)
