"""Entity scores equal seqeval's in every bit, on tags of every kind it takes."""

import warnings

import numpy as np
import pytest

from minilora.train import accuracy, entity_scores

pytestmark = pytest.mark.oracle

N = 10_000
TYPES = ["PER", "LOC", "B-LOC", "a-b", ""]
PREFIXES = {"bio": "BIO", "every scheme's": "BIOES", "unknown too": "BIOESXUL"}


@pytest.fixture(scope="module")
def seqeval():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from seqeval.metrics import sequence_labeling
        from seqeval.scheme import IOB2
    return sequence_labeling, IOB2


def random_sentences(rng, prefixes, n):
    """Tags drawn independently: most are malformed one way or another."""

    def tag():
        prefix, kind = rng.choice(list(prefixes)), rng.choice(TYPES)
        if prefix == "O" and rng.random() < 0.8:
            return "O"
        return f"{prefix}-{kind}" if kind else str(prefix)

    return [[tag() for _ in range(rng.integers(0, 9))] for _ in range(n)]


def disturbed(rng, sentences, prefixes):
    """The same sentences, a third of the tags drawn anew."""
    others = random_sentences(rng, prefixes, len(sentences))
    return [
        [o if o and rng.random() < 1 / 3 else t for t, o in zip(some, other + some, strict=False)]
        for some, other in zip(sentences, others, strict=True)
    ]


def assert_equal(ours, theirs):
    """``theirs(average)`` is seqeval's precision, recall, F1 and support."""
    for score, average in [
        (ours.micro, "micro"),
        (ours.macro, "macro"),
        (ours.weighted, "weighted"),
    ]:
        precision, recall, f1, support = theirs(average)
        expected = np.nan_to_num([precision, recall, f1])  # NaN: the macro mean of no types at all
        np.testing.assert_array_equal([score.precision, score.recall, score.f1], expected)
        assert score.support == support
    each = np.array([(s.precision, s.recall, s.f1, s.support) for s in ours.types.values()])
    np.testing.assert_array_equal(each.reshape(-1, 4).T, np.array(theirs(None)).reshape(4, -1))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("prefixes", PREFIXES.values(), ids=PREFIXES)
def test_all_sentences_together_score_as_in_seqeval(prefixes, seqeval, rng):
    metrics, _ = seqeval
    gold = random_sentences(rng, prefixes, N)
    predicted = disturbed(rng, gold, prefixes)
    assert_equal(
        entity_scores(gold, predicted),
        lambda average: metrics.precision_recall_fscore_support(gold, predicted, average=average),
    )
    assert accuracy(gold, predicted) == metrics.accuracy_score(gold, predicted)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("prefixes", PREFIXES.values(), ids=PREFIXES)
def test_each_sentence_alone_scores_as_in_seqeval(prefixes, seqeval, rng):
    metrics, _ = seqeval
    gold = [tags for tags in random_sentences(rng, prefixes, N // 10) if tags]
    for g, p in zip(gold, disturbed(rng, gold, prefixes), strict=True):
        assert_equal(
            entity_scores([g], [p]),
            lambda average, g=g, p=p: metrics.precision_recall_fscore_support(
                [g], [p], average=average
            ),
        )


@pytest.mark.filterwarnings("ignore")
def test_strict_scores_are_those_of_seqeval_strict_iob2(seqeval, rng):
    metrics, iob2 = seqeval
    gold = random_sentences(rng, "BIO", N)
    predicted = disturbed(rng, gold, "BIO")
    assert_equal(
        entity_scores(gold, predicted, scheme="strict"),
        lambda average: metrics.precision_recall_fscore_support_v1(
            gold, predicted, average=average, scheme=iob2
        ),
    )
