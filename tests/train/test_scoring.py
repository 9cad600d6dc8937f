import dataclasses
import json
import math

import numpy as np
import pytest

from minilora.errors import DataError
from minilora.ops import softmax
from minilora.text import Encoding, EncodingReport, Sentence
from minilora.train import accuracy, entity_scores, evaluate, predict


def without_labels(data):
    return dataclasses.replace(data, labels=None)


@pytest.mark.parametrize("batch_size", [1, 4, 100])
@pytest.mark.parametrize("threads", [1, 3])
def test_scores_do_not_depend_on_batches_and_threads(tagger, ner_data, batch_size, threads):
    model, data = tagger(np.float64), ner_data(11, 1)
    scores = evaluate(model, data, batch_size=batch_size, threads=threads)
    expected = evaluate(model, data, batch_size=11, threads=1)
    assert math.isclose(scores.pop("loss"), expected.pop("loss"), rel_tol=1e-12)
    assert scores == expected


@pytest.mark.parametrize("task", ["ner", "classify"])
def test_data_may_come_in_parts_that_are_made_when_needed(
    task, tagger, classifier, ner_data, topic_data
):
    model, data = (
        (tagger(np.float64), ner_data(11, 1))
        if task == "ner"
        else (classifier(np.float64), topic_data(11, 1))
    )
    made = []

    def parts():
        for rows in ([0], range(1, 7), range(7, 11)):
            made.append(len(rows))
            yield data.select(rows)

    scores, expected = evaluate(model, parts()), evaluate(model, data, batch_size=11)
    assert made == [1, 6, 4]
    assert math.isclose(scores.pop("loss"), expected.pop("loss"), rel_tol=1e-12)
    assert scores == expected


def test_a_part_without_a_label_that_counts_adds_nothing(tagger, ner_data):
    model, data = tagger(np.float64), ner_data(5, 1)
    silent = dataclasses.replace(data, labels=[np.full_like(a, -100) for a in data.labels])
    scores = evaluate(model, [data, silent])
    assert math.isclose(scores["loss"], evaluate(model, data)["loss"], rel_tol=1e-12)
    with pytest.raises(DataError, match="not one of 5 rows has a label to compare with"):
        evaluate(model, [silent])


def test_parts_need_labels(tagger, ner_data):
    with pytest.raises(DataError, match="the data has no labels"):
        evaluate(tagger(), [without_labels(ner_data(3, 1))])


def test_no_parts_are_refused(tagger):
    with pytest.raises(DataError, match="not one of 0 rows"):
        evaluate(tagger(), [])


def test_the_loss_is_the_mean_over_all_targets(tagger, ner_data):
    model, data = tagger(np.float64), ner_data(11, 1)
    expected = model.loss(data.batch(range(11))).item()
    assert math.isclose(evaluate(model, data, batch_size=3)["loss"], expected, rel_tol=1e-12)


def test_predictions_are_those_of_each_sentence_alone(tagger, ner_data):
    model, data = tagger(np.float64), ner_data(9, 2)
    for i, prediction in enumerate(predict(model, data, batch_size=4, threads=2)):
        p = softmax(model(data.batch([i]))).data
        assert prediction.tags == data.word_tags(i, p.argmax(axis=1))
        starts = np.flatnonzero(data.labels[i] != -100)
        np.testing.assert_allclose(prediction.probabilities, p[starts].max(axis=1), rtol=1e-12)


def test_scores_are_those_of_the_predictions(tagger, ner_data):
    model, data = tagger(), ner_data(30, 2)
    gold = [row.tags for row in data.rows]
    predicted = [prediction.tags for prediction in predict(model, data)]
    scores, expected = evaluate(model, data), entity_scores(gold, predicted)
    strict = entity_scores(gold, predicted, scheme="strict")
    assert scores["f1"] == expected.micro.f1
    assert scores["types"]["X"]["recall"] == expected.types["X"].recall
    assert scores["strict"]["precision"] == strict.micro.precision
    assert scores["accuracy"] == accuracy(gold, predicted)


def test_classes_are_scored(classifier, topic_data):
    model, data = classifier(), topic_data(40, 3)
    predictions = predict(model, data, batch_size=7, threads=2)
    scores = evaluate(model, data, batch_size=16, threads=2)
    right = [p.label == row.label for p, row in zip(predictions, data.rows, strict=True)]
    assert scores["accuracy"] == sum(right) / 40
    assert np.sum(scores["confusion"]) == 40
    assert np.trace(scores["confusion"]) == sum(right)
    assert [*scores["classes"]] == ["a", "b", "c"]
    np.testing.assert_allclose([p.probabilities.sum() for p in predictions], 1.0, rtol=1e-6)
    for i, prediction in enumerate(predictions):
        alone = softmax(model(data.batch([i]))).data[0]
        np.testing.assert_allclose(prediction.probabilities, alone, atol=1e-5)
        assert prediction.label == "abc"[alone.argmax()]


def test_a_class_that_never_occurs_is_listed_with_zeros(classifier, topic_data):
    model, data = classifier(), topic_data(40, 3)
    model.classifier.bias.data[:] = [1e3, 0, 0]
    rows = [i for i in range(40) if data.labels[i] == 0]
    only_a = dataclasses.replace(
        data,
        encodings=[data.encodings[i] for i in rows],
        labels=data.labels[rows],
        rows=[data.rows[i] for i in rows],
    )
    scores = evaluate(model, only_a)
    assert scores["macro_f1"] == scores["weighted_f1"] == scores["accuracy"] == 1.0
    assert scores["classes"]["c"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 0}


@pytest.mark.parametrize("task", ["ner", "classify"])
def test_scores_can_be_written_as_json(task, tagger, classifier, ner_data, topic_data):
    scores = (
        evaluate(tagger(), ner_data(5, 1))
        if task == "ner"
        else evaluate(classifier(), topic_data(5, 1))
    )
    assert json.loads(json.dumps(scores, allow_nan=False)) == scores


def test_words_the_model_never_saw_are_o_with_probability_zero(tagger, ner_data):
    data = ner_data(1, 1)
    seen = data.encodings[0]
    words = [w for w in seen.word_ids if w is not None]
    row = Sentence([*data.rows[0].words, "cut", "off"], [*data.rows[0].tags, "B-X", "I-X"], 1)
    longer = dataclasses.replace(data, rows=[row], report=EncodingReport(1, 1, 2))
    (prediction,) = predict(tagger(), longer)
    assert prediction.tags[-2:] == ["O", "O"]
    np.testing.assert_array_equal(prediction.probabilities[-2:], [0, 0])
    assert (prediction.probabilities[: max(words) + 1] > 0).all()
    scores = evaluate(tagger(), longer)
    assert scores["types"]["X"]["support"] == sum(tag == "B-X" for tag in row.tags)


def test_a_sentence_without_any_word_gets_no_tags(tagger, ner_data):
    data = ner_data(1, 1)
    empty = Encoding(np.array([1, 2]), np.zeros(2, int), ["[CLS]", "[SEP]"], [None] * 2, [None] * 2)
    nothing = dataclasses.replace(data, encodings=[empty], labels=None, rows=[Sentence([], [], 1)])
    (prediction,) = predict(tagger(), nothing)
    assert prediction.tags == []


def test_predicting_needs_no_labels(tagger, classifier, ner_data, topic_data):
    for model, data in ((tagger(), ner_data(4, 1)), (classifier(), topic_data(4, 1))):
        some, others = predict(model, data), predict(model, without_labels(data))
        for one, other in zip(some, others, strict=True):
            np.testing.assert_array_equal(one.probabilities, other.probabilities)


def test_dropout_never_drops_here(tagger, ner_data):
    data = ner_data(6, 1)
    assert evaluate(tagger(dropout=0.5), data) == evaluate(tagger(dropout=0.0), data)


@pytest.mark.parametrize("f", [evaluate, predict])
def test_data_without_rows_is_refused(f, tagger, ner_data):
    with pytest.raises(DataError, match="the data has no rows"):
        f(tagger(), ner_data(0, 1))


@pytest.mark.parametrize("f", [evaluate, predict])
def test_data_with_other_labels_is_refused(f, tagger, ner_data):
    data = dataclasses.replace(ner_data(3, 1), label_names=("O", "B-Z", "I-Z"))
    with pytest.raises(DataError, match="labels O, B-Z, I-Z, the model O, B-X, I-X, B-Y, I-Y"):
        f(tagger(), data)


@pytest.mark.parametrize("f", [evaluate, predict])
def test_data_for_the_other_task_is_refused(f, tagger, classifier, ner_data, topic_data):
    with pytest.raises(DataError, match="is for classify; a BertForTokenClassification takes"):
        f(tagger(), topic_data(3, 1))
    with pytest.raises(DataError, match="is for ner; a BertForSequenceClassification takes"):
        f(classifier(), ner_data(3, 1))


def test_scoring_needs_labels(tagger, ner_data):
    with pytest.raises(DataError, match="the data has no labels"):
        evaluate(tagger(), without_labels(ner_data(3, 1)))


def test_scoring_needs_a_label_that_counts(tagger, ner_data):
    data = ner_data(3, 1)
    ignored = dataclasses.replace(data, labels=[np.full_like(a, -100) for a in data.labels])
    with pytest.raises(DataError, match="not one of the 3 rows has a label left"):
        evaluate(tagger(), ignored)
