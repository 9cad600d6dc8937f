import numpy as np
import pytest

from minilora.errors import TargetError, did_you_mean
from minilora.nn import Linear, Module, Parameter, count_parameters


class Tree(Module):
    def __init__(self):
        self.scale = Parameter(np.ones(3))
        self.dense = Linear(np.ones((2, 3)), np.zeros(2))
        self.layer = [Linear(np.ones((2, 2)), np.zeros(2)), Linear(np.ones((1, 2)), None)]
        self.name, self.sizes = "tree", [1, 2]


@pytest.fixture
def tree() -> Tree:
    return Tree()


def test_modules_are_listed_by_path(tree):
    assert [path for path, _ in tree.named_modules()] == ["", "dense", "layer.0", "layer.1"]


def test_parameters_are_listed_by_path(tree):
    assert [name for name, _ in tree.named_parameters()] == [
        "scale",
        "dense.weight",
        "dense.bias",
        "layer.0.weight",
        "layer.0.bias",
        "layer.1.weight",
    ]


def test_a_shared_parameter_is_listed_once_under_its_first_name(tree):
    tree.tied = Linear(tree.dense.weight, None)
    assert "tied.weight" not in dict(tree.named_parameters())
    assert tree.tied.weight is tree.dense.weight


def test_state_dict_holds_the_arrays_themselves(tree):
    assert tree.state_dict()["dense.weight"] is tree.dense.weight.data


def test_freeze_stops_everything_from_training(tree):
    tree.freeze()
    assert not any(p.requires_grad for _, p in tree.named_parameters())


def test_parameters_are_counted_trained_and_all(tree):
    tree.tied = Linear(tree.dense.weight, None)
    assert count_parameters(tree) == (19, 19)
    tree.freeze()
    tree.dense.bias.requires_grad_(True)
    assert count_parameters(tree) == (2, 19)


@pytest.mark.parametrize("path", ["dense", "layer.1"])
def test_replace_puts_a_module_where_another_was(tree, path):
    new = Linear(np.zeros((1, 1)), None)
    tree.replace(path, new)
    assert dict(tree.named_modules())[path] is new


@pytest.mark.parametrize("path", ["dens", "layer.2", "layer", "", "scale", "layer.x", "name.upper"])
def test_replace_refuses_a_path_without_a_module(tree, path):
    with pytest.raises(TargetError, match=r"replace: no module at .*Choices: dense, layer.0"):
        tree.replace(path, Linear(np.zeros((1, 1)), None))


def test_of_many_choices_the_first_are_listed():
    hint = did_you_mean("name31", [f"name{n:02}" for n in range(40)])
    assert hint.startswith(" Did you mean 'name31'? Choices: name00, name01,")
    assert hint.endswith(", name29 and 10 more.")


def test_a_module_without_forward_says_so(tree):
    with pytest.raises(NotImplementedError, match=r"Tree defines no forward\(\)"):
        tree(np.ones(3))
