import pytest

from minilora.adapters import inject
from minilora.analysis.select import Candidate, Trial
from minilora.analysis.select.trial import trials_of
from minilora.errors import ConfigError, TargetError
from minilora.nn import BertConfig, BertModel

CONFIG = BertConfig(
    vocab_size=20,
    hidden_size=8,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=12,
    max_position_embeddings=10,
)
RANKS = (
    ("encoder.layer.0.attention.self.query", 2),
    ("encoder.layer.1.intermediate.dense", 3),
)


@pytest.fixture
def bert(rng):
    return BertModel(CONFIG, rng=rng)


@pytest.mark.parametrize(
    "candidate",
    [
        Candidate(r=3),
        Candidate(r=2, targets=("all-linear",)),
        Candidate(r=2, targets=("key", "attention.output.dense")),
        Candidate(r=3, ranks=RANKS),
    ],
    ids=str,
)
def test_parameters_are_counted_as_inject_makes_them(bert, rng, candidate):
    counted = candidate.counted(bert).n_parameters
    inject(bert, candidate.config(), rng=rng)
    assert counted == sum(p.data.size for _, p in bert.named_parameters() if p.requires_grad)


def test_zeros_are_not_counted(bert):
    dense = Candidate(r=4).counted(bert).n_parameters
    assert Candidate(r=4, sparsity=0.75).counted(bert).n_parameters == dense // 4


def test_layers_of_their_own_ranks_are_adapted_alone(bert, rng):
    paths = inject(bert, Candidate(r=3, ranks=RANKS).config(), rng=rng)
    modules = dict(bert.named_modules())
    assert [(path, modules[path].lora_A.shape[0]) for path in paths] == list(RANKS)


def test_a_misspelt_target_is_answered_with_the_nearest(bert):
    with pytest.raises(TargetError, match="Did you mean 'query'"):
        Candidate(r=2, targets=("querry",)).counted(bert)


@pytest.mark.parametrize(
    "wrong",
    [{"r": 0}, {"r": 2, "sparsity": 1.0}, {"r": 2, "alpha": 0}, {"r": 2, "ranks": (("a", 3),)}],
)
def test_a_value_out_of_range_is_refused(wrong):
    with pytest.raises(ConfigError):
        Candidate(**wrong)


@pytest.mark.parametrize(
    ("candidate", "text"),
    [
        (Candidate(r=4), "r=4 query+value"),
        (Candidate(r=4, sparsity=0.5, targets=("query",)), "r=4 query, 50% zeros"),
        (Candidate(r=3, ranks=RANKS), "r=2–3 2 layers"),
    ],
)
def test_a_candidate_says_what_it_is(candidate, text):
    assert str(candidate) == text


def test_all_linear_is_a_word_and_not_a_name():
    assert Candidate(r=1, targets=("all-linear",)).config().target_modules == "all-linear"


def test_further_settings_go_into_the_configuration():
    config = Candidate(r=1, alpha=3).config(modules_to_save=["classifier"])
    assert (config.r, config.lora_alpha, config.modules_to_save) == (1, 3, ("classifier",))


def test_every_candidate_meets_the_same_seeds_and_folds():
    small, large = Candidate(r=1), Candidate(r=2)
    trials = trials_of([small, large], epochs=3, seeds=[5, 6], n_folds=2)
    same = [(3, 5, 0), (3, 5, 1), (3, 6, 0), (3, 6, 1)]
    assert trials == [Trial(c, *rest) for c in (small, large) for rest in same]


@pytest.mark.parametrize("none", [{"epochs": 0}, {"seeds": []}, {"n_folds": 0}])
def test_no_trials_are_refused(none):
    with pytest.raises(ConfigError, match="at least one of each"):
        trials_of([Candidate(r=1)], **{"epochs": 1, "seeds": [0], "n_folds": 1, **none})
