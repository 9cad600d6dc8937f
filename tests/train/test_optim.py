import math
import signal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from minilora.adapters import LoraConfig, inject
from minilora.autograd import Tensor
from minilora.errors import CheckpointError, ConfigError
from minilora.train import SGD, AdamW, clip_grad_norm_, decay_groups

MAKERS = {
    "adamw": lambda ps: AdamW(ps, lr=0.1),
    "sgd": lambda ps: SGD(ps, lr=0.1),
    "sgd with momentum": lambda ps: SGD(ps, lr=0.1, momentum=0.9),
}


@pytest.fixture(params=MAKERS)
def make(request):
    return MAKERS[request.param]


def parameters(rng, shapes=((3, 2), (4,))):
    return [Tensor(rng.standard_normal(shape), requires_grad=True) for shape in shapes]


def walk(optimizer, rng, n_steps):
    for _ in range(n_steps):
        for p in optimizer.parameters:
            p.grad = rng.standard_normal(p.shape)
        optimizer.step()


def test_a_step_goes_downhill(make, rng):
    (p,) = parameters(rng, [(5,)])
    optimizer, before = make([p]), float(np.square(p.data).sum())
    for _ in range(20):
        p.grad = 2 * p.data
        optimizer.step()
    assert np.square(p.data).sum() < before / 2


@pytest.mark.parametrize(("nesterov", "steps"), [(False, [1.0, 1.5]), (True, [1.5, 1.75])])
def test_momentum_adds_up_gradients_and_nesterov_looks_ahead(nesterov, steps):
    p = Tensor(np.zeros(1), requires_grad=True)
    optimizer = SGD([p], lr=1.0, momentum=0.5, nesterov=nesterov)
    for expected in steps:
        before = p.data.copy()
        p.grad = np.ones(1)
        optimizer.step()
        np.testing.assert_array_equal(before - p.data, [expected])


def test_parameters_are_updated_in_place(make, rng):
    (p,) = parameters(rng, [(5,)])
    array, before = p.data, p.data.copy()
    p.grad = np.ones(5)
    make([p]).step()
    assert p.data is array
    assert (array != before).all()


def test_a_parameter_without_a_gradient_stays(make, rng):
    p, q = parameters(rng)
    before = q.data.copy()
    optimizer = make([p, q])
    p.grad = np.ones_like(p.data)
    optimizer.step()
    np.testing.assert_array_equal(q.data, before)


def test_the_first_step_of_adamw_is_the_learning_rate_against_each_sign():
    p = Tensor(np.array([1.0, 1.0]), requires_grad=True)
    p.grad = np.array([3.0, -0.01])
    AdamW([p], lr=0.1, weight_decay=0.0).step()
    np.testing.assert_allclose(p.data, [0.9, 1.1], rtol=1e-6)


def test_weight_decay_of_adamw_does_not_pass_through_its_moments():
    p = Tensor(np.array([2.0]), requires_grad=True)
    p.grad = np.zeros(1)
    AdamW([p], lr=0.1, weight_decay=0.5).step()
    np.testing.assert_allclose(p.data, [2.0 * (1 - 0.1 * 0.5)], rtol=1e-15)


def test_the_factor_scales_every_groups_learning_rate(rng):
    p, q = Tensor(np.ones(1), requires_grad=True), Tensor(np.ones(1), requires_grad=True)
    optimizer = SGD([{"params": [p]}, {"params": [q], "lr": 4.0}], lr=2.0)
    optimizer.factor = 0.25
    p.grad, q.grad = np.ones(1), np.ones(1)
    optimizer.step()
    assert (p.data, q.data, optimizer.lr) == (0.5, 0.0, 0.5)


def test_zero_grad_forgets(rng):
    ps = parameters(rng)
    optimizer = SGD(ps, lr=1.0)
    for p in ps:
        p.grad = np.ones_like(p.data)
    optimizer.zero_grad()
    assert [p.grad for p in ps] == [None, None]


def test_going_on_from_a_saved_state_gives_the_same_bits(make, rng):
    ps = parameters(rng)
    first, stream = make(ps), np.random.default_rng(1)
    walk(first, stream, 3)
    saved = {name: array.copy() for name, array in first.state().items()}
    copies = [Tensor(p.data.copy(), requires_grad=True) for p in ps]
    second = make(copies)
    second.load_state(saved)
    stream_copy = np.random.default_rng()
    stream_copy.bit_generator.state = stream.bit_generator.state
    walk(first, stream, 3)
    walk(second, stream_copy, 3)
    for p, q in zip(ps, copies, strict=True):
        np.testing.assert_array_equal(p.data, q.data)
    assert second.n_steps == 6


def test_a_state_that_was_loaded_is_not_written_to(make, rng):
    first = make(parameters(rng))
    walk(first, rng, 2)
    saved = {name: array.copy() for name, array in first.state().items()}
    kept = {name: array.copy() for name, array in saved.items()}
    second = make(parameters(rng))
    second.load_state(saved)
    walk(second, rng, 2)
    assert all(np.array_equal(kept[name], saved[name]) for name in kept)


def test_state_names_say_which_parameter_and_what(rng):
    optimizer = AdamW(parameters(rng))
    walk(optimizer, rng, 1)
    assert [*optimizer.state()] == ["n_steps", "0.m", "0.v", "0.t", "1.m", "1.v", "1.t"]


@pytest.mark.parametrize(
    "foreign",
    [
        lambda rng: AdamW(parameters(rng, [(3, 2), (5,)])),
        lambda rng: AdamW(parameters(rng, [(3, 2), (4,), (1,)])),
        lambda rng: SGD(parameters(rng), lr=1.0, momentum=0.5),
    ],
    ids=["other shape", "more parameters", "other optimiser"],
)
def test_a_state_of_another_optimiser_is_refused_and_changes_nothing(foreign, rng):
    other, optimizer = foreign(rng), AdamW(parameters(rng))
    walk(other, rng, 1)
    walk(optimizer, rng, 1)
    before = {name: array.copy() for name, array in optimizer.state().items()}
    with pytest.raises(CheckpointError, match="another optimiser or model"):
        optimizer.load_state(other.state())
    assert all(np.array_equal(before[k], a) for k, a in optimizer.state().items())


@pytest.mark.parametrize(
    "damage",
    [
        lambda state: {},
        lambda state: {name: a for name, a in state.items() if name != "n_steps"},
        lambda state: {name: a for name, a in state.items() if name != "0.t"},
        lambda state: {"n_steps": state["n_steps"]},  # as SGD without momentum leaves it
    ],
    ids=["nothing", "no count", "a part", "no memory"],
)
def test_an_incomplete_state_is_refused(damage, rng):
    optimizer = AdamW(parameters(rng))
    walk(optimizer, rng, 1)
    with pytest.raises(CheckpointError, match=r"expected n_steps, and .* m, v, t. It is damaged"):
        AdamW(parameters(rng)).load_state(damage(optimizer.state()))


def test_the_state_before_the_first_step_is_complete(rng):
    optimizer = AdamW(parameters(rng))
    optimizer.load_state(AdamW(parameters(rng)).state())
    assert optimizer.n_steps == 0


def test_one_tensor_is_clipped_like_several(rng):
    (p, *_) = parameters(rng)
    p.grad = np.full(p.shape, 3.0)
    clip_grad_norm_(p, 1.0)
    assert np.linalg.norm(p.grad) == pytest.approx(1.0, rel=1e-5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: AdamW([]), "no parameters"),
        (lambda p: AdamW(p), r"got one Tensor; expected several, as in \[tensor\]"),
        (lambda p: AdamW([("W", p)]), "got a tuple .* give the second of each pair"),
        (lambda p: AdamW([np.ones(2)]), "got a ndarray among the parameters"),
        (lambda p: AdamW([{"lr": 1.0}]), "a group has lr, but no params"),
        (lambda p: clip_grad_norm_([("W", p)], 1.0), "clip_grad_norm_: got a tuple"),
        (lambda p: AdamW([p, p]), "given twice"),
        (lambda p: AdamW([{"params": [p]}, {"params": [p]}]), "given twice"),
        (lambda p: AdamW([p], lr=-1.0), "lr is -1.0; expected 0 <= lr"),
        (lambda p: AdamW([p], lr=math.nan), "lr is nan"),
        (lambda p: AdamW([p], lr=math.inf), "lr is inf"),
        (lambda p: AdamW([p], lr="fast"), "lr is 'fast'"),
        (lambda p: AdamW([p], weight_decay=-0.1), "weight_decay is -0.1"),
        (lambda p: AdamW([p], betas=(0.9, 1.0)), r"betas\[1\] is 1.0"),
        (lambda p: AdamW([p], betas=0.9), "expected two numbers"),
        (lambda p: AdamW([p], eps=-1e-8), "eps is -1e-08"),
        (lambda p: SGD([p], lr=1.0, momentum=1.0), "momentum is 1.0"),
        (lambda p: SGD([p], lr=1.0, nesterov=True), "nesterov needs momentum"),
        (lambda p: SGD([{"params": [p], "weight_decy": 0.0}], lr=1.0), "Did you mean 'weight_dec"),
    ],
)
def test_settings_out_of_range_are_refused_by_name(make, message):
    with pytest.raises(ConfigError, match=message):
        make(Tensor(np.zeros(2), requires_grad=True))


def test_weights_decay_but_biases_and_layer_norms_do_not(tagger, rng):
    model = tagger()
    inject(model, LoraConfig(target_modules=["query"], bias="all", lora_bias=True), rng=rng)
    for module in (model.bert.embeddings.LayerNorm, model.classifier):
        for _, p in module.named_parameters():
            p.requires_grad_(True)
    groups = decay_groups(model, 0.1)
    rates = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    assert len(rates) == len(trained)
    for name, p in trained.items():
        assert rates[id(p)] == (0.0 if "LayerNorm" in name or "bias" in name else 0.1), name
    assert set(rates.values()) == {0.0, 0.1}


def test_a_group_nobody_is_in_is_left_out(tagger):
    model = tagger()
    model.freeze()
    model.classifier.bias.requires_grad_()
    (group,) = decay_groups(model, 0.1)
    assert group["weight_decay"] == 0.0


GRADIENTS = hnp.arrays(np.float64, (7,), elements=st.floats(-1e3, 1e3, allow_subnormal=False))


@given(GRADIENTS, st.floats(1e-2, 1e3))
def test_clipping_bounds_the_norm_and_keeps_the_direction(grad, max_norm):
    ps = [Tensor(np.zeros(3), requires_grad=True), Tensor(np.zeros(4), requires_grad=True)]
    ps[0].grad, ps[1].grad = grad[:3].copy(), grad[3:].copy()
    norm = clip_grad_norm_(ps, max_norm)
    clipped = np.concatenate([p.grad for p in ps])
    np.testing.assert_allclose(norm, np.linalg.norm(grad), rtol=1e-12)
    assert np.linalg.norm(clipped) <= max_norm * (1 + 1e-12)
    np.testing.assert_allclose(clipped * norm, grad * np.linalg.norm(clipped), atol=1e-5, rtol=1e-6)
    if norm < max_norm - 1e-3:
        np.testing.assert_array_equal(clipped, grad)


def test_clipping_says_when_a_gradient_is_not_finite_and_leaves_all():
    p, q = (Tensor(np.zeros(1), requires_grad=True) for _ in range(2))
    p.grad, q.grad = np.array([np.inf]), np.array([2.0])
    assert clip_grad_norm_([p, q], 1.0) == math.inf
    np.testing.assert_array_equal(q.grad, [2.0])


@pytest.mark.parametrize("max_norm", [0.0, -1.0, math.nan])
def test_clipping_needs_a_positive_bound(max_norm):
    with pytest.raises(ConfigError, match="max_norm is"):
        clip_grad_norm_([], max_norm)


def test_ctrl_c_never_leaves_half_a_step(rng, monkeypatch):
    ps = parameters(rng, [(2,), (2,), (2,)])
    before = [p.data.copy() for p in ps]
    optimizer, update = AdamW(ps), AdamW._update

    def interrupted(self, p, *args):
        if p is ps[1]:
            signal.raise_signal(signal.SIGINT)
        update(self, p, *args)

    monkeypatch.setattr(AdamW, "_update", interrupted)
    for p in ps:
        p.grad = np.ones(2)
    with pytest.raises(KeyboardInterrupt):
        optimizer.step()
    assert all((p.data != old).all() for p, old in zip(ps, before, strict=True))
    assert optimizer.n_steps == 1
