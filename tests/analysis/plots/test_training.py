import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from minilora.analysis.plots import TrainingRun, describe, training_report
from minilora.analysis.plots.training import SHOWN


def scores(names, f1=0.5):
    return {name: {"precision": 0.5, "recall": 0.75, "f1": f1, "support": 12} for name in names}


def a_run(**changes):
    run = {
        "title": "LoRA on a tiny base",
        "facts": "3 epochs, seed 0",
        "losses": [2.0, 1.5, 1.0, 0.5],
        "rates": [1e-3, 1e-3, 5e-4, 0.0],
        "dev_scores": [0.25, 0.75],
        "score_name": "F1",
        "best_epoch": 2,
        "split": "test",
        "classes": scores(["LOC", "PER"]),
    }
    return TrainingRun(**run | changes)


def opened(png):
    return Image.open(io.BytesIO(png))


def test_the_figure_is_a_png_that_carries_its_description():
    run = a_run()
    image = opened(training_report(run))
    assert image.format == "PNG"
    assert image.text["Title"] == run.title
    assert image.text["Description"] == describe(run)


def test_the_description_says_what_the_figure_shows():
    text = describe(a_run())
    for fact in ("LoRA on a tiny base", "from 2 to 0.5 in 4 steps", "epoch 2 of 2: 0.750"):
        assert fact in text
    assert "LOC 0.50, PER 0.50" in text


def test_the_same_run_gives_the_same_bytes():
    assert training_report(a_run()) == training_report(a_run())


@pytest.mark.parametrize("n_classes", [1, 8, 9, SHOWN, SHOWN + 1])
@pytest.mark.parametrize("confused", [True, False], ids=["classify", "ner"])
def test_any_number_of_classes_can_be_drawn(n_classes, confused):
    counts = np.eye(n_classes, dtype=np.int64) * 1234 if confused else None
    classes = scores(f"class number {i}" for i in range(n_classes))
    image = opened(training_report(a_run(classes=classes, confusion=counts)))
    assert image.width == 1760
    assert image.height <= 3000


def test_a_learning_rate_of_zero_can_be_drawn():
    training_report(a_run(rates=[0.0] * 4))


def test_a_test_set_without_any_class_can_be_drawn():
    training_report(a_run(classes={}))


def test_of_very_many_classes_the_weakest_are_shown():
    classes = scores((f"good{i}" for i in range(SHOWN)), f1=0.9) | scores(["weak"], f1=0.1)
    text = describe(a_run(classes=classes))
    assert "weak 0.10" in text
    assert f"good{SHOWN - 2} " in text
    assert f"good{SHOWN - 1} " not in text


@pytest.mark.parametrize("n_epochs", [1, 31])
@pytest.mark.parametrize("n_steps", [1, 1000])
def test_any_length_of_training_can_be_drawn(n_epochs, n_steps):
    run = a_run(
        losses=[1.0] * n_steps,
        rates=[0.1] * n_steps,
        dev_scores=[0.0] * n_epochs,
        best_epoch=n_epochs,
    )
    assert opened(training_report(run)).height < 700


@settings(max_examples=10, deadline=None)
@given(
    name=st.text(
        st.characters(exclude_categories=["Cc", "Cs"]) | st.sampled_from("$_\\{}^%中é"),
        min_size=1,
        max_size=60,
    )
)
def test_names_are_drawn_as_they_are_whatever_they_hold(name):
    training_report(
        a_run(title=name, facts=name, classes=scores([name]), confusion=np.ones((1, 1)))
    )
