import pytest

from minilora.adapters import METHODS, LoraConfig, prepare
from minilora.errors import ConfigError

HEAD = {"classifier.weight", "classifier.bias"}


def names(model):
    return {name for name, _ in model.named_parameters()}


@pytest.mark.parametrize("method", METHODS)
def test_what_is_returned_is_what_is_trained(toy64, rng, method):
    returned = prepare(toy64, method, rng=rng)
    assert returned == [name for name, p in toy64.named_parameters() if p.requires_grad]
    assert returned


def test_lora_injects(toy64, rng):
    config = LoraConfig(target_modules=["output"], modules_to_save=["classifier"])
    returned = set(prepare(toy64, "lora", config=config, rng=rng))
    assert returned >= HEAD | {"encoder.layer.0.output.lora_A"}
    assert toy64.adaptation.config is config


def test_full_trains_everything(toy64, rng):
    assert set(prepare(toy64, "full", rng=rng)) == names(toy64)


def test_head_trains_the_classifier_alone(toy64, rng):
    assert set(prepare(toy64, "head", rng=rng)) == HEAD


def test_bitfit_trains_all_biases_and_the_head(toy64, rng):
    biases = {name for name in names(toy64) if name.endswith(".bias")}
    assert set(prepare(toy64, "bitfit", rng=rng)) == biases | HEAD


def test_only_lora_changes_the_model(toy64, rng):
    before = names(toy64)
    for method in ("full", "head", "bitfit"):
        prepare(toy64, method, rng=rng)
        assert names(toy64) == before
        assert toy64.adaptation is None


def test_an_unknown_method_is_named_with_a_suggestion(toy64, rng):
    with pytest.raises(ConfigError, match=r"'lorra' is no way to train\. Did you mean 'lora'"):
        prepare(toy64, "lorra", rng=rng)


def test_a_lora_config_is_for_lora(toy64, rng):
    with pytest.raises(ConfigError, match="'full' takes no LoraConfig"):
        prepare(toy64, "full", config=LoraConfig(), rng=rng)


@pytest.mark.parametrize("method", ["head", "bitfit"])
def test_a_model_without_a_head_is_refused(toy64, rng, method):
    with pytest.raises(ConfigError, match="Encoder has none"):
        prepare(toy64.encoder, method, rng=rng)
