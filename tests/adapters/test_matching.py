"""Each of PEFT's published rules, by an example; tests/oracle/test_peft.py compares at random."""

import pytest

from minilora.adapters import LoraConfig
from minilora.adapters.matching import first_match, is_saved, is_target, number_of

QUERY = "bert.encoder.layer.1.attention.self.query"
DENSE = "bert.encoder.layer.1.attention.output.dense"


def test_no_targets_means_query_and_value():
    assert is_target(LoraConfig(), QUERY)
    assert is_target(LoraConfig(), QUERY.replace("query", "value"))
    assert not is_target(LoraConfig(), QUERY.replace("query", "key"))


def test_a_name_matches_the_end_of_a_path_from_a_dot_on():
    config = LoraConfig(target_modules=["query", "output.dense"])
    assert is_target(config, QUERY)
    assert is_target(config, DENSE)
    assert is_target(config, "query")
    assert not is_target(config, "bert.my_query")
    assert not is_target(config, "bert.query.inner")


def test_a_name_is_no_regular_expression():
    assert not is_target(LoraConfig(target_modules=["quer."]), QUERY)


def test_a_string_is_a_regular_expression_for_the_whole_path():
    assert is_target(LoraConfig(target_modules=r".*\.query"), QUERY)
    assert is_target(LoraConfig(target_modules=".*query"), "bert.my_query")
    assert not is_target(LoraConfig(target_modules="query"), QUERY)
    assert not is_target(LoraConfig(target_modules=r"bert\.encoder"), QUERY)


@pytest.mark.parametrize("word", ["all-linear", "ALL-Linear"])
def test_all_linear_leaves_out_the_output_head(word):
    config = LoraConfig(target_modules=word)
    assert is_target(config, QUERY)
    assert is_target(config, "bert.pooler.dense")
    assert not is_target(config, "classifier")
    assert not is_target(config, "cls.predictions.decoder")


def test_exclusion_comes_first():
    assert not is_target(LoraConfig(target_modules=[QUERY], exclude_modules=["query"]), QUERY)
    assert not is_target(LoraConfig(exclude_modules=r".*\.layer\.1\..*"), QUERY)
    assert is_target(LoraConfig(exclude_modules="query"), QUERY)
    assert is_target(LoraConfig(exclude_modules=["uery"]), QUERY)
    assert not is_target(LoraConfig(target_modules="all-linear", exclude_modules=["query"]), QUERY)


def test_modules_to_save_are_never_targets_nor_is_what_is_inside_them():
    config = LoraConfig(target_modules=["dense", "classifier"], modules_to_save=["output"])
    assert not is_target(config, DENSE)
    assert is_target(config, "bert.pooler.dense")
    assert is_target(config, "classifier")


def test_a_module_to_save_excludes_whole_names_only():
    config = LoraConfig(target_modules=["dense"], modules_to_save=["put"])
    assert is_target(config, DENSE)


def test_layers_to_transform_keeps_those_numbers():
    assert is_target(LoraConfig(layers_to_transform=1), QUERY)
    assert is_target(LoraConfig(layers_to_transform=[0, 1]), QUERY)
    assert not is_target(LoraConfig(layers_to_transform=0), QUERY)
    assert not is_target(LoraConfig(layers_to_transform=[0, 2]), QUERY)


def test_layers_to_transform_drops_what_is_in_no_layer():
    config = LoraConfig(target_modules=["dense"], layers_to_transform=[0, 1])
    assert not is_target(config, "bert.pooler.dense")


def test_no_layers_to_transform_means_all():
    assert is_target(LoraConfig(layers_to_transform=[]), QUERY)


def test_a_target_by_its_full_path_is_adapted_whatever_its_layer():
    config = LoraConfig(target_modules=[QUERY], layers_to_transform=[0])
    assert is_target(config, QUERY)


def test_the_first_list_in_a_path_numbers_it():
    assert number_of(LoraConfig(), "model.layers.3.experts.7.up") == 3
    config = LoraConfig(layers_to_transform=[3], layers_pattern="experts")
    assert number_of(config, "model.layers.3.experts.7.up") == 7


def test_a_list_at_the_top_has_a_number_only_by_its_name():
    assert number_of(LoraConfig(), "layers.1.query") is None
    config = LoraConfig(layers_to_transform=[1], layers_pattern=["h", "layers"])
    assert number_of(config, "layers.1.query") == 1


def test_a_layers_pattern_is_a_whole_name():
    config = LoraConfig(layers_to_transform=[1], layers_pattern="layer")
    assert number_of(config, "bert.mylayer.1.query") is None


def test_the_first_pattern_written_wins():
    assert first_match({"query": 1, r".*\.query": 2}, QUERY) == "query"
    assert first_match({r".*\.query": 2, "query": 1}, QUERY) == r".*\.query"
    assert first_match({"key": 1}, QUERY) is None


def test_a_pattern_matches_the_end_of_a_path_from_a_dot_on():
    assert first_match(["self.query"], QUERY)
    assert not first_match(["uery"], QUERY)
    assert not first_match(["self"], QUERY)


def test_a_dot_in_a_pattern_matches_any_character():
    assert first_match(["self.query"], "bert.self_query")


def test_a_caret_ties_a_pattern_to_the_beginning():
    assert not first_match(["^query"], QUERY)
    assert first_match(["^query"], "query")


def test_alternatives_in_a_pattern_are_kept_together():
    assert first_match(["key|query"], QUERY)
    assert not first_match(["query|key"], "query.key.value")


def test_modules_are_saved_by_the_last_letters_of_their_path():
    config = LoraConfig(modules_to_save=["classifier", "er"])
    assert is_saved(config, "classifier")
    assert is_saved(config, "bert.pooler")
    assert not is_saved(config, "bert.pooler.dense")
    assert not is_saved(LoraConfig(), "classifier")
