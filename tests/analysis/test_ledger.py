import numpy as np
import pytest

from minilora.adapters import LoraConfig, LowRankUpdate, inject
from minilora.analysis import ledger
from minilora.analysis.ledger import MEANINGS, Cost
from minilora.errors import ConfigError
from minilora.nn import Linear, Module

O, I, R = 12, 8, 3


def an_update(O=O, I=I, r=R):
    return LowRankUpdate("a", np.zeros((O, r)), np.zeros((r, I)), 1.0)


def test_the_table_of_closed_forms_holds_for_one_layer():
    found = ledger([an_update()])
    assert found.full.parameters_trained == 96
    assert found.lora.parameters_trained == 60
    assert found.full.flops_forward == found.merged.flops_forward == 192
    assert found.lora.flops_forward == 192 + 120
    assert found.full.flops_training == 576
    assert found.lora.flops_training == 384 + 360
    assert found.full.bytes_activations == 8 * 4
    assert found.lora.bytes_activations == (8 + 3) * 4
    assert found.merged.flops_training == found.merged.parameters_trained == 0


def test_layers_add_up():
    two = ledger([an_update(), an_update(20, 5, 1)])
    assert two.full.parameters_trained == 96 + 100
    assert two.lora.parameters_trained == 60 + 25
    assert two.lora.bytes_activations == (11 + 6) * 4


def test_bytes_follow_what_numbers_are_kept_in():
    found = ledger([an_update()], weight_bytes=2, optimizer_states=1)
    assert found.lora.bytes_weights == 96 * 2 + 60 * 4
    assert found.full.bytes_weights == 96 * 4
    assert found.merged.bytes_weights == 96 * 2
    assert found.lora.bytes_optimizer == found.lora.bytes_gradients == 60 * 4
    assert ledger([an_update()]).full.bytes_optimizer == 2 * 96 * 4


@pytest.mark.parametrize("shape", [(64, 64), (30, 6)])
def test_at_the_break_even_ranks_lora_costs_as_much_as_full(shape):
    r_star = ledger([an_update(*shape)]).break_even_rank
    assert r_star == pytest.approx(shape[0] * shape[1] / sum(shape))
    at = ledger([an_update(*shape, r=int(r_star))])
    assert at.lora.parameters_trained == pytest.approx(at.full.parameters_trained, rel=0.05)
    third = ledger([an_update(*shape, r=round(at.break_even_flops_rank))])
    assert third.lora.flops_training == pytest.approx(third.full.flops_training, rel=0.1)


def test_a_square_weight_breaks_even_at_half_its_side():
    assert ledger([an_update(64, 64)]).break_even_rank == 32


def test_the_count_is_that_of_a_model(rng):
    class Model(Module):
        def __init__(self):
            self.q = Linear(np.zeros((O, I)), np.zeros(O))

    model = Model()
    inject(model, LoraConfig(r=R, target_modules=["q"]), rng=rng)
    trained = sum(p.data.size for _, p in model.named_parameters() if p.requires_grad)
    assert ledger([an_update()]).lora.parameters_trained == trained


def test_every_entry_is_explained():
    assert set(MEANINGS) == set(Cost.__dataclass_fields__)


def test_an_adapter_without_layers_is_refused():
    with pytest.raises(ConfigError, match="no updates"):
        ledger([])
