import math

import numpy as np
import pytest

from minilora.adapters import LoraConfig
from minilora.errors import ConfigError


def test_defaults_are_those_of_peft():
    config = LoraConfig()
    assert (config.r, config.lora_alpha, config.lora_dropout) == (8, 8, 0.0)
    assert (config.target_modules, config.modules_to_save, config.bias) == (None, None, "none")
    assert config.init_lora_weights is True
    assert config.scaling_of("query") == 1


def test_only_keywords_are_taken():
    with pytest.raises(TypeError):
        LoraConfig(8)


def test_it_is_frozen():
    with pytest.raises(AttributeError):
        LoraConfig().r = 4


def test_scale_is_alpha_over_r():
    assert LoraConfig(r=5, lora_alpha=7).scaling_of("query") == 7 / 5


def test_rslora_scale_is_alpha_over_the_root_of_r():
    config = LoraConfig(r=5, lora_alpha=7, use_rslora=True)
    assert config.scaling_of("query") == 7 / math.sqrt(5)


def test_patterns_give_layers_their_own_rank_and_alpha():
    config = LoraConfig(r=5, lora_alpha=7, rank_pattern={"value": 3}, alpha_pattern={"value": 2})
    assert (config.rank_of("layer.0.value"), config.alpha_of("layer.0.value")) == (3, 2)
    assert config.scaling_of("layer.0.value") == 2 / 3
    assert config.scaling_of("layer.0.query") == 7 / 5


def test_the_scale_of_a_layer_uses_its_own_rank_under_rslora():
    config = LoraConfig(r=5, lora_alpha=7, rank_pattern={"value": 9}, use_rslora=True)
    assert config.scaling_of("value") == 7 / 3


@pytest.mark.parametrize("names", [["a", "b", "c"], {"b", "c", "a"}, ("a", "b", "c")])
def test_names_come_as_any_collection_and_a_set_is_sorted(names):
    assert LoraConfig(target_modules=names).target_modules == ("a", "b", "c")


def test_a_name_given_twice_counts_once():
    config = LoraConfig(modules_to_save=["classifier", "classifier"])
    assert config.modules_to_save == ("classifier",)


def test_what_was_passed_in_is_not_shared():
    names, ranks = ["query"], {"query": 3}
    config = LoraConfig(target_modules=names, rank_pattern=ranks)
    names.append("value")
    ranks["value"] = 9
    assert (config.target_modules, config.rank_pattern) == (("query",), {"query": 3})


def test_numpy_numbers_become_plain_ones():
    config = LoraConfig(r=np.int64(3), lora_alpha=np.float32(2))
    assert type(config.r) is int
    assert type(config.lora_alpha) is float


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"r": 0}, "r is 0; expected a whole number of at least 1"),
        ({"r": -3}, "r is -3"),
        ({"r": 2.5}, "r is 2.5"),
        ({"r": True}, "r is True"),
        ({"r": "8"}, "r is '8'"),
        ({"lora_alpha": math.nan}, "lora_alpha is nan"),
        ({"lora_alpha": math.inf}, "lora_alpha is inf"),
        ({"lora_alpha": 0}, "switch the adapter off"),
        ({"lora_alpha": "16"}, "lora_alpha is '16'"),
        ({"lora_alpha": True}, "lora_alpha is True"),
        ({"lora_dropout": 1.0}, "0 <= p < 1"),
        ({"lora_dropout": -0.1}, "0 <= p < 1"),
        ({"lora_dropout": math.nan}, "0 <= p < 1"),
        ({"lora_dropout": "0.1"}, "0 <= p < 1"),
        ({"target_modules": []}, "at least one name"),
        ({"target_modules": ["query", 3]}, "names that are strings"),
        ({"target_modules": [""]}, "not empty"),
        ({"target_modules": ""}, "a list of names or a regular expression"),
        ({"target_modules": 3}, "a list of names or a regular expression"),
        ({"target_modules": "(query"}, "'(query' is no regular expression"),
        ({"exclude_modules": "[a"}, "exclude_modules: '[a'"),
        ({"modules_to_save": "classifier"}, "modules_to_save is 'classifier'; expected a list"),
        ({"modules_to_save": ["(a"]}, "modules_to_save: '(a'"),
        ({"rank_pattern": {"query": 0}}, "rank_pattern['query'] is 0"),
        ({"rank_pattern": {"(query": 3}}, "rank_pattern: '(query'"),
        ({"rank_pattern": ["query"]}, "a dictionary"),
        ({"rank_pattern": {3: 3}}, "a dictionary"),
        ({"alpha_pattern": {"query": math.inf}}, "alpha_pattern['query'] is inf"),
        ({"layers_to_transform": -1}, "counted from 0"),
        ({"layers_to_transform": [0, 1.5]}, "counted from 0"),
        ({"layers_to_transform": [True]}, "counted from 0"),
        ({"layers_pattern": "layer"}, "layers_pattern is 'layer' without layers_to_transform"),
        ({"layers_pattern": "(l", "layers_to_transform": 1}, "layers_pattern: '(l'"),
        ({"target_modules": ".*query", "layers_to_transform": 1}, "cannot narrow"),
        ({"target_modules": "all-linear", "layers_to_transform": 1}, "'all-linear'"),
        ({"bias": "lora"}, "Did you mean 'lora_only'"),
        ({"bias": None}, "bias is None"),
        ({"lora_bias": 1}, "lora_bias is 1; expected True or False"),
        ({"use_rslora": "yes"}, "use_rslora is 'yes'"),
        ({"lora_bias": True, "init_lora_weights": "gaussian"}, "lora_bias with init_lora_weights"),
        ({"init_lora_weights": "pissa"}, "expected True, False or 'gaussian'"),
        ({"init_lora_weights": 1}, "expected True, False or 'gaussian'"),
        ({"use_dora": True}, "use_dora is True; expected False"),
        ({"fan_in_fan_out": True}, "fan_in_fan_out is True; expected False"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_value(settings, message):
    with pytest.raises(ConfigError) as caught:
        LoraConfig(**settings)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
