import dataclasses

import numpy as np

from minilora.train import TrainSettings
from minilora.train.plan import Plan

SETTINGS = TrainSettings(epochs=3, batch_size=8)


def test_a_step_has_its_batch_whichever_steps_were_asked_for_before(ner_data):
    data = ner_data(20, 1)
    forwards, backwards = Plan(data, SETTINGS), Plan(data, SETTINGS)
    steps = range(forwards.n_steps)
    expected = [forwards.batch(step).input_ids for step in steps]
    for step in reversed(steps):
        np.testing.assert_array_equal(backwards.batch(step).input_ids, expected[step])


def test_every_step_and_every_seed_drops_differently(ner_data):
    data = ner_data(20, 1)
    plans = [Plan(data, dataclasses.replace(SETTINGS, seed=seed)) for seed in range(3)]
    draws = {plan.dropout_rng(step).random() for plan in plans for step in range(5)}
    assert len(draws) == 15


def test_the_last_batch_of_an_epoch_may_be_smaller(ner_data):
    plan = Plan(ner_data(20, 1), SETTINGS)
    sizes = [plan.batch(step).n_sequences for step in range(plan.n_steps)]
    assert sizes == [8, 8, 4] * 3


def test_a_single_step_trains(ner_data):
    (factor,) = [Plan(ner_data(5, 1), dataclasses.replace(SETTINGS, epochs=1)).factor(0)]
    assert factor == 1.0
