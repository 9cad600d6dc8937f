"""Random configurations select the same layers, ranks, scales and parameters as in PEFT."""

import copy
import math

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from minilora.adapters import LoraConfig, inject
from minilora.adapters.matching import first_match, is_saved, is_target
from minilora.errors import TargetError
from minilora.io.peft_names import trained_parameters
from minilora.nn import BertConfig, BertForTokenClassification

pytestmark = [
    pytest.mark.oracle,
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore:The following (rank|alpha)_pattern keys"),
    pytest.mark.filterwarnings("ignore:You have passed exclude_modules"),
]

SIZES = {
    "vocab_size": 20,
    "hidden_size": 4,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 6,
    "max_position_embeddings": 8,
}
PATHS = [
    path
    for path, _ in BertForTokenClassification(
        BertConfig(**SIZES), labels=["O", "X"], rng=None
    ).named_modules()
    if path
]
ODD_PATHS = [
    "query",
    "layers.1.query",
    "my_query",
    "model.layers.2.experts.11.up.query",
    "h.0.dense",
]

ends = st.sampled_from(PATHS + ODD_PATHS).flatmap(
    lambda path: st.integers(1, path.count(".") + 1).map(lambda n: ".".join(path.split(".")[-n:]))
)
letters = ends.flatmap(lambda end: st.integers(0, len(end) - 1).map(lambda n: end[n:]))
expressions = st.sampled_from(
    [
        ".*",
        ".*query",
        "query",
        r".*\.(query|key)",
        r".*\.layer\.[02]\..*dense",
        r"bert\.encoder",
        "classifier",
        r".*\d.*",
        "self.query",
        "^query",
        "query|key",
        "dense$",
    ]
)
names = st.lists(ends | letters, min_size=1, max_size=4)
indices = st.integers(0, 3)

SETTINGS = st.fixed_dictionaries(
    {"target_modules": names},
    optional={
        "exclude_modules": names | expressions,
        "modules_to_save": st.lists(ends | letters, min_size=1, max_size=2),
        "layers_to_transform": indices | st.lists(indices, max_size=3),
    },
) | st.fixed_dictionaries(
    {"target_modules": expressions},
    optional={"exclude_modules": names | expressions, "modules_to_save": names},
)
PATTERNS = st.dictionaries(ends | letters | expressions, st.integers(1, 5), max_size=3)


@pytest.fixture(scope="module")
def hf():
    import peft
    import torch
    import transformers

    return peft, torch, transformers


@settings(max_examples=1000, deadline=None)
@given(settings=SETTINGS, pattern=st.sampled_from([None, "layer", ["h", "layers"], "experts"]))
def test_every_path_is_judged_as_in_peft(hf, settings, pattern):
    from peft.tuners.tuners_utils import check_target_module_exists

    if settings.get("layers_to_transform") is not None and pattern:
        settings = settings | {"layers_pattern": pattern}
    theirs = hf[0].LoraConfig(**copy.deepcopy(settings))
    ours = LoraConfig(**settings)
    for path in PATHS + ODD_PATHS:
        assert is_target(ours, path) == bool(check_target_module_exists(theirs, path)), path


@settings(max_examples=300, deadline=None)
@given(patterns=PATTERNS)
def test_patterns_are_looked_up_as_in_peft(hf, patterns):
    from peft.utils.other import get_pattern_key

    for path in PATHS + ODD_PATHS:
        key = first_match(patterns, path)
        assert patterns.get(get_pattern_key(patterns.keys(), path), 8) == patterns.get(key, 8)


LINEAR = st.sampled_from(["query", "key", "value", "dense", "output.dense", "layer.1.output.dense"])
INJECTED = st.fixed_dictionaries(
    {
        "target_modules": st.lists(LINEAR, min_size=1, max_size=3)
        | st.sampled_from([r".*\.(query|key)", r".*layer\.[02]\..*dense"]),
        "r": st.integers(1, 3),
        "lora_alpha": st.integers(1, 9),
        "use_rslora": st.booleans(),
        "lora_bias": st.booleans(),
        "bias": st.sampled_from(["none", "all", "lora_only"]),
        "rank_pattern": st.dictionaries(LINEAR, st.integers(1, 3), max_size=2),
        "alpha_pattern": st.dictionaries(LINEAR, st.integers(1, 3), max_size=2),
    },
    optional={
        "exclude_modules": st.lists(LINEAR, min_size=1, max_size=1),
        "modules_to_save": st.sampled_from([["classifier"], ["LayerNorm"], ["embeddings"]]),
    },
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(settings=INJECTED)
def test_the_same_parameters_are_trained_at_the_same_scale_as_in_peft(hf, settings):
    peft, _, transformers = hf
    model = transformers.BertForTokenClassification(transformers.BertConfig(**SIZES))
    theirs = peft.LoraConfig(**copy.deepcopy(settings))
    ours = BertForTokenClassification(BertConfig(**SIZES), labels=["O", "X"], rng=None)
    rng = np.random.default_rng(0)
    try:
        wrapped = peft.get_peft_model(model, theirs)
    except ValueError:
        with pytest.raises(TargetError):
            inject(ours, LoraConfig(**settings), rng=rng, strict=False)
        assume(False)  # nothing to compare: both refuse
    paths = inject(ours, LoraConfig(**settings), rng=rng, strict=False)
    assert set(paths) == set(wrapped.base_model.targeted_module_names)
    shapes = {
        name.removeprefix("base_model.model.")
        .replace(".modules_to_save.default", "")
        .replace(".default", ""): tuple(p.shape)
        for name, p in wrapped.named_parameters()
        if p.requires_grad
    }
    assert {name: p.shape for name, p in trained_parameters(ours).items()} == shapes
    modules = dict(ours.named_modules())
    for path in paths:
        scaling = model.get_submodule(path).scaling["default"]
        assert math.isclose(modules[path].scaling, scaling, rel_tol=1e-15)


@pytest.mark.parametrize("kind", ["Token", "Sequence"])
def test_all_linear_is_what_peft_takes_for_a_classifier_that_is_saved(hf, kind):
    """PEFT adapts the head of a token classifier as well unless it is in modules_to_save."""
    peft, _, transformers = hf
    model = getattr(transformers, f"BertFor{kind}Classification")(transformers.BertConfig(**SIZES))
    config = peft.LoraConfig(target_modules="all-linear", modules_to_save=["classifier"])
    theirs = peft.get_peft_model(model, config).base_model.targeted_module_names
    paths = [path for path, m in model.named_modules() if hasattr(m, "lora_A")]
    ours = LoraConfig(target_modules="all-linear", modules_to_save=["classifier"])
    assert set(paths) == set(theirs)
    assert all(is_target(ours, path) for path in paths)
    assert not is_target(ours, "classifier")


def test_saved_modules_are_found_by_their_last_letters_as_in_peft(hf):
    peft, _, transformers = hf
    model = transformers.BertForTokenClassification(transformers.BertConfig(**SIZES))
    peft.get_peft_model(model, peft.LoraConfig(modules_to_save=["ayerNorm", "fier"]))
    theirs = {path for path, m in model.named_modules() if type(m).__name__.startswith("ModulesTo")}
    config = LoraConfig(modules_to_save=["ayerNorm", "fier"])
    assert {path for path in PATHS if is_saved(config, path)} == theirs
