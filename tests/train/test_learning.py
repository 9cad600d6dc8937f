"""Each method learns the toy tasks, from a random encoder, in a second or two."""

import numpy as np
import pytest

from minilora.adapters import LoraConfig, prepare
from minilora.train import TrainSettings, evaluate, fit

LORA = LoraConfig(r=8, lora_alpha=16, target_modules="all-linear", modules_to_save=["classifier"])
RATES = {"lora": 1e-2, "full": 3e-3, "head": 5e-2, "bitfit": 5e-2}


@pytest.mark.parametrize("method", RATES)
def test_it_learns_to_find_entities(method, tagger, ner_data):
    model, rng = tagger(seed=1), np.random.default_rng(0)
    prepare(model, method, config=LORA if method == "lora" else None, rng=rng)
    frozen = {n: p.data.copy() for n, p in model.named_parameters() if not p.requires_grad}
    settings = TrainSettings(epochs=6, lr=RATES[method], weight_decay=0.0, threads=2)
    fit(model, ner_data(300, 1), ner_data(60, 2), settings)
    assert evaluate(model, ner_data(100, 3))["f1"] > 0.9
    parameters = model.state_dict()
    assert all(np.array_equal(parameters[name], array) for name, array in frozen.items())


@pytest.mark.parametrize("method", ["lora", "full"])
def test_it_learns_to_tell_topics_apart(method, classifier, topic_data):
    model, rng = classifier(seed=1), np.random.default_rng(0)
    prepare(model, method, config=LORA if method == "lora" else None, rng=rng)
    settings = TrainSettings(epochs=6, lr=RATES[method], label_smoothing=0.05, threads=2)
    fit(model, topic_data(300, 1), topic_data(60, 2), settings)
    scores = evaluate(model, topic_data(100, 3))
    assert scores["accuracy"] > 0.9
    assert scores["macro_f1"] > 0.9


def test_sgd_learns_as_well(tagger, ner_data):
    settings = TrainSettings(epochs=6, optimizer="sgd", lr=0.1, schedule="cosine", threads=2)
    model = tagger(seed=1)
    fit(model, ner_data(300, 1), ner_data(60, 2), settings)
    assert evaluate(model, ner_data(100, 3))["f1"] > 0.9
