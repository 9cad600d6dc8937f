import json
import math

import numpy as np
import pytest

from minilora.errors import ConfigError
from minilora.train import SGD, AdamW, TrainSettings


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"epochs": 0}, "epochs is 0; expected a whole number of at least 1"),
        ({"epochs": 2.5}, "epochs is 2.5; expected a whole number"),
        ({"epochs": True}, "epochs is True"),
        ({"batch_size": -4}, "batch_size is -4"),
        ({"chunk_tokens": 0}, "chunk_tokens is 0"),
        ({"eval_every": 0}, "eval_every is 0"),
        ({"patience": 0}, "patience is 0"),
        ({"threads": 0}, "threads is 0"),
        ({"seed": -1}, "seed is -1; expected a whole number of at least 0"),
        ({"lr": 0.0}, "lr is 0.0; expected 0 < lr < inf"),
        ({"lr": math.nan}, "lr is nan"),
        ({"lr": math.inf}, "lr is inf"),
        ({"lr": None}, "lr is None"),
        ({"clip": 0.0}, "clip is 0.0"),
        ({"weight_decay": -0.1}, "weight_decay is -0.1; expected 0 <= weight_decay"),
        ({"eps": -1.0}, "eps is -1.0"),
        ({"momentum": 1.0}, "momentum is 1.0; expected 0 <= momentum < 1"),
        ({"warmup_ratio": 1.0}, "warmup_ratio is 1.0"),
        ({"label_smoothing": 1.5}, "label_smoothing is 1.5"),
        ({"betas": (0.9,)}, "betas is"),
        ({"optimizer": "adam"}, "optimizer is 'adam'.* Did you mean 'adamw'"),
        ({"schedule": "cosin"}, "schedule is 'cosin'.* Did you mean 'cosine'"),
    ],
)
def test_a_setting_out_of_range_is_named(setting, message):
    with pytest.raises(ConfigError, match=f"^TrainSettings: {message}"):
        TrainSettings(**setting)


def test_what_may_be_left_out_may_be_none():
    settings = TrainSettings(clip=None, eval_every=None, patience=None, threads=None, metric=None)
    assert settings == TrainSettings(clip=None)


def test_settings_pass_through_json():
    settings = TrainSettings(lr=1e-3, betas=(0.8, 0.9), clip=None)
    assert TrainSettings(**json.loads(json.dumps(settings.to_json()))).to_json() == (
        settings.to_json()
    )


def test_numpy_numbers_become_pythons():
    settings = TrainSettings(epochs=np.int64(3), lr=np.float32(0.5), betas=[np.float64(0.5), 0.9])
    assert settings == TrainSettings(epochs=3, lr=0.5, betas=(0.5, 0.9))
    assert json.loads(json.dumps(settings.to_json()))["epochs"] == 3


def test_the_optimiser_has_the_settings(tagger):
    adamw = TrainSettings(lr=0.1, weight_decay=0.2, betas=(0.7, 0.8), eps=0.1)
    optimizer = adamw.make_optimizer(tagger())
    assert isinstance(optimizer, AdamW)
    assert (optimizer.lr, optimizer.betas, optimizer.eps) == (0.1, (0.7, 0.8), 0.1)
    assert [group.weight_decay for group in optimizer.groups] == [0.2, 0.0]
    sgd = TrainSettings(optimizer="sgd", lr=0.3, momentum=0.4, nesterov=True)
    optimizer = sgd.make_optimizer(tagger())
    assert isinstance(optimizer, SGD)
    assert (optimizer.lr, optimizer.momentum, optimizer.nesterov) == (0.3, 0.4, True)
