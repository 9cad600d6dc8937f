import json

import pytest

from minilora.errors import CheckpointError, ConfigError
from minilora.nn import BertConfig


def refusal(settings) -> str:
    with pytest.raises(CheckpointError) as caught:
        BertConfig.from_json(settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_file_is_read(tmp_path, settings):
    (tmp_path / "config.json").write_text(json.dumps(settings | {"hidden_act": "relu"}))
    config = BertConfig.from_json(tmp_path / "config.json")
    assert (config.hidden_size, config.hidden_act, config.layer_norm_eps) == (8, "relu", 1e-12)


def test_a_file_error_names_the_file(tmp_path):
    path = tmp_path / "config.json"
    assert refusal(path).startswith(f"{path}: there is no such file; the model's config was")
    path.write_text('{"hidden_size": 8}')
    assert refusal(path).startswith(f"{path}: vocab_size is missing")


def test_what_is_left_out_has_the_defaults_of_transformers(settings):
    del settings["max_position_embeddings"], settings["type_vocab_size"], settings["model_type"]
    config = BertConfig.from_json(settings)
    assert (config.max_position_embeddings, config.type_vocab_size) == (512, 2)
    assert (config.hidden_dropout_prob, config.attention_probs_dropout_prob) == (0.1, 0.1)
    assert (config.hidden_act, config.classifier_dropout) == ("gelu", None)


def test_unknown_settings_are_kept_and_written_back(settings):
    settings |= {"pad_token_id": 0, "architectures": ["BertModel"], "classifier_dropout": 0.3}
    again = BertConfig.from_json(settings).to_dict()
    assert settings.items() <= again.items()
    assert BertConfig.from_json(again) == BertConfig.from_json(settings)


def test_labels_are_read_in_order_and_written_back(settings):
    settings |= {"id2label": {"1": "B-X", "0": "O"}, "label2id": {"O": 0, "B-X": 1}}
    config = BertConfig.from_json(settings)
    assert config.label_names == ("O", "B-X")
    assert config.to_dict()["id2label"] == {"0": "O", "1": "B-X"}
    assert config.to_dict()["label2id"] == {"O": 0, "B-X": 1}


def test_a_bare_number_of_labels_gives_the_names_that_transformers_makes_up(settings):
    config = BertConfig.from_json(settings | {"num_labels": 3})
    assert config.label_names == ("LABEL_0", "LABEL_1", "LABEL_2")
    assert "num_labels" not in config.to_dict()


def test_without_labels_there_are_none(config):
    assert config.label_names is None
    assert "id2label" not in config.to_dict()


NAN, INFINITY = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("model_type", "roberta", "'bert'"),
        ("position_embedding_type", "relative_key", "'absolute'"),
        ("is_decoder", True, "False"),
        ("add_cross_attention", True, "False"),
        ("hidden_act", "silu", "'gelu' or 'gelu_new' or 'gelu_pytorch_tanh' or 'relu'"),
        ("hidden_act", ["gelu"], "'gelu'"),
        ("vocab_size", "23", "a whole number"),
        ("vocab_size", 23.0, "a whole number"),
        ("hidden_size", 0, "from 1 up"),
        ("num_hidden_layers", True, "a whole number"),
        ("num_attention_heads", 3, "expected a multiple of num_attention_heads"),
        ("intermediate_size", None, "a whole number"),
        ("max_position_embeddings", -1, "from 1 up"),
        ("type_vocab_size", 0, "from 1 up"),
        ("hidden_dropout_prob", 1.0, "to below 1"),
        ("hidden_dropout_prob", NAN, "to below 1"),
        ("attention_probs_dropout_prob", -0.1, "from 0"),
        ("classifier_dropout", "0.1", "null or a number"),
        ("layer_norm_eps", 0, "above 0"),
        ("layer_norm_eps", INFINITY, "above 0"),
        ("initializer_range", NAN, "from 0 up"),
        ("tie_word_embeddings", "yes", "True or False"),
        ("num_labels", 0, "from 1 up"),
        ("id2label", ["O"], "names by number"),
        ("id2label", {"0": "O", "2": "B"}, "names by number"),
        ("id2label", {"0": "O", "1": "O"}, "names by number"),
        ("id2label", {"0": 5}, "names by number"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named_with_value_and_expectation(
    settings, name, value, expected
):
    message = refusal(settings | {name: value})
    assert expected in message
    assert name in message
    if name != "num_attention_heads":
        assert f"{name} is {value!r}, expected" in message


def test_all_problems_are_listed_at_once(settings):
    del settings["vocab_size"], settings["hidden_size"]
    message = refusal(settings | {"hidden_act": "silu", "is_decoder": True})
    for name in ("vocab_size is missing", "hidden_size is missing", "hidden_act", "is_decoder"):
        assert name in message


def test_settings_in_python_are_checked_alike(settings):
    del settings["model_type"]
    with pytest.raises(ConfigError, match=r"hidden_act is 'silu', .*; id2label is"):
        BertConfig(**settings | {"hidden_act": "silu", "id2label": ["O", "B-X"]})
