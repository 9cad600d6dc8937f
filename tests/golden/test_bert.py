"""A tiny BERT computes what transformers computed, as recorded in bert.npz."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from minilora.autograd import gradients
from minilora.nn import (
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    BertForTokenClassification,
)
from minilora.text import Batch

HERE = Path(__file__).parent
LABELS = [f"LABEL_{i}" for i in range(5)]
MODELS = {
    "token": lambda config: BertForTokenClassification(
        config, labels=LABELS, rng=None, dtype=np.float64
    ),
    "sequence": lambda config: BertForSequenceClassification(
        config, labels=LABELS, rng=None, dtype=np.float64
    ),
    "word": lambda config: BertForMaskedLM(config, rng=None, dtype=np.float64),
}


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    with np.load(HERE / "bert.npz", allow_pickle=False) as file:
        return dict(file)


@pytest.fixture
def model(golden, per):
    settings = json.loads(str(golden["about"]))["settings"]
    model = MODELS[per](BertConfig.from_json(settings))
    for name, parameter in model.named_parameters():
        parameter.data = golden[f"weights/{name}"].astype(np.float64)
    return model


@pytest.fixture
def batch(golden, per) -> Batch:
    fields = ("input_ids", "position_ids", "token_type_ids", "offsets")
    arrays = {name: golden[f"batch/{name}"] for name in fields}
    return Batch(**arrays, labels=golden[f"{per}/labels"])


every_head = pytest.mark.parametrize("per", MODELS)


def test_the_file_was_made_by_the_script_beside_it(golden):
    made_by = json.loads(str(golden["about"]))["script"]
    script = hashlib.sha256((HERE / "make_bert.py").read_bytes()).hexdigest()
    assert made_by == script, "bert.npz is stale: run python tests/golden/make_bert.py"


@every_head
def test_the_logits_are_equal(golden, model, batch, per):
    np.testing.assert_allclose(model(batch).data, golden[f"{per}/logits"], rtol=1e-10, atol=1e-12)


@every_head
def test_the_loss_is_equal(golden, model, batch, per):
    assert model.loss(batch).item() == pytest.approx(float(golden[f"{per}/loss"]), rel=1e-12)


@every_head
def test_every_gradient_is_equal(golden, model, batch, per):
    grads = gradients(model.loss(batch))
    recorded = {name for name in golden if name.startswith(f"{per}/grads/")}
    assert recorded == {f"{per}/grads/{name}" for name, _ in model.named_parameters()}
    for name, parameter in model.named_parameters():
        theirs = golden[f"{per}/grads/{name}"]
        scale = np.abs(theirs).max()  # of a key's bias it is rounding: softmax does not see it
        np.testing.assert_allclose(
            grads[parameter], theirs, rtol=1e-10, atol=1e-10 * max(scale, 1e-4), err_msg=name
        )


@pytest.mark.parametrize("per", ["token"])
def test_the_hidden_states_of_every_layer_are_equal(golden, model, batch):
    h = model.bert.embeddings(batch)
    states = [h.data]
    for layer in model.bert.encoder.layer:
        h = layer(h, batch.offsets)
        states.append(h.data)
    np.testing.assert_allclose(np.stack(states), golden["token/hidden"], rtol=1e-10, atol=1e-12)
