import pytest

from minilora.adapters import LoraConfig
from minilora.adapters.selection import select
from minilora.errors import TargetError


def test_targets_come_in_the_order_of_the_model(toy64):
    targets = select(toy64, LoraConfig(target_modules=["value", "query"])).targets
    assert targets == (
        "encoder.layer.0.query",
        "encoder.layer.0.value",
        "encoder.layer.1.query",
        "encoder.layer.1.value",
    )


def test_all_linear_is_every_linear_but_the_head(toy64):
    targets = select(toy64, LoraConfig(target_modules="all-linear")).targets
    assert len(targets) == 8
    assert "classifier" not in targets


def test_saved_modules_come_apart(toy64):
    config = LoraConfig(target_modules=["query"], modules_to_save=["LayerNorm", "classifier"])
    selection = select(toy64, config)
    assert selection.saved == (
        "encoder.layer.0.LayerNorm",
        "encoder.layer.1.LayerNorm",
        "classifier",
    )


REFUSED = [
    ({"target_modules": ["querry"]}, "nothing matches 'querry'. Did you mean 'query'?"),
    ({"target_modules": ["query", "valeu"]}, "nothing matches 'valeu'. Did you mean 'value'?"),
    ({"target_modules": ["0.qurey"]}, "Did you mean '0.query'?"),
    ({"target_modules": "query"}, "write target_modules=['query']"),
    ({"target_modules": r".*\.key"}, "leaves no layer to adapt; expected one of the 9 Linear"),
    ({"target_modules": ["LayerNorm"]}, "is of type LayerNorm, matched by ['LayerNorm']"),
    ({"target_modules": r"encoder\.layer\.0"}, "is of type Layer,"),
    ({"exclude_modules": ["qeury"]}, "exclude_modules: nothing matches 'qeury'"),
    ({"exclude_modules": "qeury"}, "exclude_modules: nothing matches 'qeury'"),
    ({"exclude_modules": ["query", "value"]}, "take out encoder.layer.0.query"),
    ({"modules_to_save": ["clasifier"]}, "Did you mean 'classifier'?"),
    ({"rank_pattern": {"key": 3}}, "rank_pattern: nothing matches 'key'"),
    ({"rank_pattern": {"output": 3}}, "rank_pattern: nothing matches 'output'"),
    ({"alpha_pattern": {"key": 3}}, "alpha_pattern: nothing matches 'key'"),
    ({"layers_to_transform": 2}, "leaves no layer to adapt in layers [2]; there are layers [0, 1]"),
    ({"layers_to_transform": [1, 2]}, "nothing is adapted in layer 2, only in layers [1]"),
]


@pytest.mark.parametrize(("settings", "message"), REFUSED)
def test_what_selects_nothing_is_named(toy64, settings, message):
    with pytest.raises(TargetError) as caught:
        select(toy64, LoraConfig(**settings))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "settings",
    [
        {"target_modules": ["query", "valeu"]},
        {"exclude_modules": ["key"]},
        {"modules_to_save": ["classifier", "score"]},
        {"rank_pattern": {"key": 3}},
        {"layers_to_transform": [1, 2]},
    ],
)
def test_peft_minds_only_when_nothing_at_all_is_left(toy64, settings):
    assert select(toy64, LoraConfig(**settings), strict=False).targets
    with pytest.raises(TargetError, match="leaves no layer"):
        select(toy64, LoraConfig(target_modules=["key"]), strict=False)


@pytest.mark.parametrize(
    "settings",
    [
        {"target_modules": ["classifier"]},
        {"target_modules": ["query"], "modules_to_save": ["classifier"]},
        {"target_modules": ["1.query"], "modules_to_save": ["layer.0"]},
    ],
)
def test_what_shares_a_parameter_with_another_module_is_refused(toy64, settings):
    toy64.classifier.weight = toy64.encoder.layer[0].query.weight
    with pytest.raises(TargetError, match="shares a parameter with"):
        select(toy64, LoraConfig(**settings))


def test_modules_that_share_only_among_themselves_can_be_saved_together(toy64):
    toy64.encoder.layer[0].query.weight = toy64.encoder.layer[0].value.weight
    config = LoraConfig(target_modules=["1.query"], modules_to_save=["layer.0"])
    assert select(toy64, config).saved == ("encoder.layer.0",)
