"""LoRA equals PEFT's: logits, loss, every gradient, ten AdamW steps, and the files both ways.

r = 5 and α = 7, so that no two wrong scales agree; A and B random, since at B = 0 half of the
gradients vanish; layers that are not square. Differences are max |ours - theirs| / max |theirs|.
"""

import copy
import os
from types import SimpleNamespace

import numpy as np
import pytest

from minilora.adapters import LoraConfig, inject, merge
from minilora.io import load_adapter, save_adapter, save_pretrained
from minilora.io.peft_names import trained_parameters
from minilora.nn import (
    BertConfig,
    BertForSequenceClassification,
    BertForTokenClassification,
    BertModel,
)
from minilora.text import Batch, WordPieceTokenizer
from minilora.train import AdamW

pytestmark = [
    pytest.mark.oracle,
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore:Adapter 'default'"),  # PEFT takes lora_B.bias for damage
]

TOLERANCE = {np.float64: 1e-9, np.float32: 2e-4}
OURS = {"Token": BertForTokenClassification, "Sequence": BertForSequenceClassification}
LABELS = ["O", *(f"{b}-{kind}" for kind in ("LOC", "MISC", "ORG", "PER") for b in "BI")]
MINILM = {
    "target_modules": ["query", "value", "intermediate.dense"],
    "modules_to_save": ["classifier"],
    "task_type": "TOKEN_CLS",
}
TINY = {
    "rslora": {"use_rslora": True},
    "gaussian": {"init_lora_weights": "gaussian"},
    "lora bias": {"lora_bias": True, "modules_to_save": ["classifier"]},
    "all biases": {"bias": "all", "modules_to_save": ["classifier"]},
    "adapted biases": {"bias": "lora_only", "lora_bias": True},
    "patterns": {"rank_pattern": {"value": 3}, "alpha_pattern": {r"layer\.1\..*": 2}},
    "one layer": {"target_modules": ["dense"], "layers_to_transform": [1]},
    "expression": {"target_modules": r".*\.0\..*(key|dense)", "exclude_modules": ["output.dense"]},
    "norms": {"modules_to_save": ["classifier", "LayerNorm"]},
    "all linear": {"target_modules": "all-linear", "modules_to_save": ["classifier"]},
}


@pytest.fixture(scope="module")
def hf():
    """Torch, transformers and peft, told to look nothing up on the network."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    import peft
    import torch
    import transformers

    transformers.logging.set_verbosity_error()
    return SimpleNamespace(torch=torch, transformers=transformers, peft=peft)


@pytest.fixture(params=TOLERANCE, ids=lambda dtype: dtype.__name__)
def dtype(request):
    return request.param


@pytest.fixture
def wikigold(shared_data, minilm_dir):
    """Eight real sentences, a label on the first piece of every word."""
    tokenizer = WordPieceTokenizer.from_pretrained(minilm_dir)
    blocks = (shared_data / "wikigold" / "test.conll").read_text(encoding="utf-8").split("\n\n")
    encodings, labels = [], []
    for block in blocks[:8]:
        words, tags = zip(*(line.split("\t") for line in block.splitlines()), strict=True)
        encodings.append(tokenizer(list(words)))
        labels.append(np.full(len(encodings[-1]), -100))
        for w, tag in enumerate(tags):
            labels[-1][encodings[-1].word_ids.index(w)] = LABELS.index(tag)
    return Batch.pack(encodings, labels)


@pytest.fixture
def tiny_dir(tmp_path, rng):
    """A random encoder with biases and norms away from 0 and 1."""
    config = BertConfig(
        vocab_size=40,
        hidden_size=12,
        num_hidden_layers=2,
        num_attention_heads=3,
        intermediate_size=20,
        max_position_embeddings=16,
        initializer_range=0.3,
    )
    model = BertModel(config, rng=rng, dtype=np.float64)
    for _, p in model.named_parameters():
        p.data += 0.1 * rng.standard_normal(p.shape)
    save_pretrained(model, tmp_path / "tiny")
    return tmp_path / "tiny"


def tiny_batch(rng, kind):
    lengths = [5, 1, 9]
    return Batch(
        input_ids=rng.integers(0, 40, 15),
        position_ids=np.concatenate([np.arange(n) for n in lengths]),
        token_type_ids=np.zeros(15, np.int64),
        offsets=np.cumsum([0, *lengths]),
        labels=rng.integers(0, len(LABELS), 15 if kind == "Token" else 3),
    )


def our_base(folder, kind, dtype, seed=1):
    rng = np.random.default_rng(seed)  # the head starts at random
    return OURS[kind].from_pretrained(folder, labels=LABELS, rng=rng, dtype=dtype)


def their_base(hf, folder, ours, kind, dtype):
    """The same model in transformers, whatever started at random included."""
    model = getattr(hf.transformers, f"BertFor{kind}Classification").from_pretrained(
        folder,
        num_labels=len(LABELS),
        dtype=getattr(hf.torch, np.dtype(dtype).name),
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    arrays = ours.state_dict()
    with hf.torch.no_grad():
        for name in ours.started_at_random:
            model.get_parameter(name).copy_(tensor(hf, arrays[name]))
    return model


def adapted_pair(hf, folder, settings, *, kind, dtype, rng):
    """The same adapter, away from its start, on the same model here and in PEFT."""
    settings = {"r": 5, "lora_alpha": 7, "target_modules": ["query", "value"]} | settings
    ours = our_base(folder, kind, dtype)
    theirs = their_base(hf, folder, ours, kind, dtype)
    theirs = hf.peft.get_peft_model(
        theirs,
        hf.peft.LoraConfig(**copy.deepcopy(settings)),  # PEFT lengthens modules_to_save
    ).train()
    config = LoraConfig(**{name: value for name, value in settings.items() if name != "task_type"})
    inject(ours, config, rng=rng)
    parameters = their_parameters(theirs)
    assert parameters.keys() == trained_parameters(ours).keys()
    for name, p in trained_parameters(ours).items():
        p.data = (p.data + 0.05 * rng.standard_normal(p.shape)).astype(dtype)
        parameters[name].data.copy_(tensor(hf, p.data))
    return ours, theirs


def their_parameters(theirs):
    """What PEFT trains, under the names of its files."""
    return {
        name.removeprefix("base_model.model.")
        .replace(".modules_to_save.default", "")
        .replace(".default", ""): p
        for name, p in theirs.named_parameters()
        if p.requires_grad
    }


def tensor(hf, array):
    return hf.torch.from_numpy(np.ascontiguousarray(array).copy())


def padded_logits(hf, model, batch):
    """Their logits of the sequences padded to the longest, without the padding."""
    mask = np.arange(batch.lengths.max()) < batch.lengths[:, None]  # (N, L)
    ids = np.zeros(mask.shape, np.int64)
    ids[mask] = batch.input_ids
    attention_mask = tensor(hf, mask.astype(np.int64))
    logits = model(input_ids=tensor(hf, ids), attention_mask=attention_mask).logits
    return logits[tensor(hf, mask)] if logits.ndim == 3 else logits


def logits_one_by_one(hf, model, batch):
    """Their logits of each sequence alone, where there is nothing to pad."""
    alone = (padded_logits(hf, model, batch.select([n])) for n in range(batch.n_sequences))
    return hf.torch.cat(list(alone))


LAYOUTS = {"padded": padded_logits, "one by one": logits_one_by_one}


def their_loss(hf, logits, batch):
    return hf.torch.nn.functional.cross_entropy(logits, tensor(hf, batch.labels))


def difference(ours, theirs):
    theirs = theirs.detach().numpy()
    assert ours.shape == theirs.shape
    assert ours.dtype == theirs.dtype
    return np.abs(ours - theirs).max() / np.abs(theirs).max()


def gradient_differences(ours, theirs):
    """By name; without the bias of the keys, which adds the same to all scores of a query.

    Softmax takes that out, so the gradient is 0 and what both sides compute is rounding.
    """
    gradients = {name: p.grad for name, p in their_parameters(theirs).items()}
    return {
        name: difference(p.grad, gradients[name])
        for name, p in trained_parameters(ours).items()
        if not name.endswith("key.bias")
    }


def check_forward_and_backward(hf, ours, theirs, batch, layout, tolerance):
    theirs_logits = LAYOUTS[layout](hf, theirs, batch)
    assert difference(ours(batch).data, theirs_logits) < tolerance
    loss, reference = ours.loss(batch), their_loss(hf, theirs_logits, batch)
    assert difference(loss.data, reference) < tolerance
    loss.backward()
    reference.backward()
    for name, found in gradient_differences(ours, theirs).items():
        assert found < tolerance, name


@pytest.mark.parametrize("layout", LAYOUTS)
def test_minilm_with_lora_equals_peft_on_real_sentences(
    hf, minilm_dir, wikigold, layout, dtype, rng
):
    ours, theirs = adapted_pair(hf, minilm_dir, MINILM, kind="Token", dtype=dtype, rng=rng)
    check_forward_and_backward(hf, ours, theirs, wikigold, layout, TOLERANCE[dtype])


def test_ten_adamw_steps_on_minilm_equal_pefts(hf, minilm_dir, wikigold, dtype, rng):
    ours, theirs = adapted_pair(hf, minilm_dir, MINILM, kind="Token", dtype=dtype, rng=rng)
    our_steps = AdamW(trained_parameters(ours).values(), lr=1e-3, weight_decay=0.01)
    their_steps = hf.torch.optim.AdamW(
        their_parameters(theirs).values(), lr=1e-3, weight_decay=0.01
    )
    losses = []
    for _ in range(10):
        loss = ours.loss(wikigold)
        reference = their_loss(hf, padded_logits(hf, theirs, wikigold), wikigold)
        assert difference(loss.data, reference) < TOLERANCE[dtype]
        losses.append(loss.item())
        for total, optimizer in ((loss, our_steps), (reference, their_steps)):
            total.backward()
            optimizer.step()
            optimizer.zero_grad()
    assert losses[-1] < losses[0]
    references = their_parameters(theirs)
    for name, p in trained_parameters(ours).items():
        # In norm, not entry by entry: AdamW divides by √v, so an entry whose gradient is only
        # rounding moves as far as the others, in a direction that is rounding as well.
        theirs_now = references[name].detach().numpy()
        distance = np.linalg.norm(p.data - theirs_now) / np.linalg.norm(theirs_now)
        assert distance < TOLERANCE[dtype], name


@pytest.mark.parametrize("kind", OURS)
@pytest.mark.parametrize("case", TINY)
def test_every_setting_equals_pefts_on_a_tiny_bert(hf, tiny_dir, case, kind, rng):
    ours, theirs = adapted_pair(hf, tiny_dir, TINY[case], kind=kind, dtype=np.float64, rng=rng)
    batch = tiny_batch(rng, kind)
    check_forward_and_backward(hf, ours, theirs, batch, "padded", TOLERANCE[np.float64])


@pytest.mark.parametrize("kind", OURS)
@pytest.mark.parametrize("case", TINY)
def test_an_adapter_saved_by_peft_loads_here(hf, tiny_dir, tmp_path, case, kind, rng):
    task = {"Token": "TOKEN_CLS", "Sequence": "SEQ_CLS"}[kind]
    settings = TINY[case] | ({"task_type": task} if "modules_to_save" in TINY[case] else {})
    ours, theirs = adapted_pair(hf, tiny_dir, settings, kind=kind, dtype=np.float64, rng=rng)
    theirs.save_pretrained(tmp_path / "adapter")
    batch = tiny_batch(rng, kind)
    again = our_base(tiny_dir, kind, np.float64)
    again.started_at_random = ()  # the same seed gives the same start
    load_adapter(again, tmp_path / "adapter")
    assert np.array_equal(again(batch).data, ours(batch).data)
    assert difference(again(batch).data, padded_logits(hf, theirs, batch)) < 1e-9


@pytest.mark.parametrize("kind", OURS)
@pytest.mark.parametrize("case", TINY)
def test_an_adapter_saved_here_loads_in_peft(hf, tiny_dir, tmp_path, case, kind, rng):
    ours, _ = adapted_pair(hf, tiny_dir, TINY[case], kind=kind, dtype=np.float64, rng=rng)
    base = their_base(hf, tiny_dir, our_base(tiny_dir, kind, np.float64), kind, np.float64)
    ours.started_at_random = ()
    save_adapter(ours, tmp_path / "adapter")
    theirs = hf.peft.PeftModel.from_pretrained(base, tmp_path / "adapter")
    batch = tiny_batch(rng, kind)
    assert difference(ours(batch).data, padded_logits(hf, theirs, batch)) < 1e-9


def test_a_minilm_adapter_goes_to_peft_and_back(hf, minilm_dir, wikigold, tmp_path, dtype, rng):
    ours, theirs = adapted_pair(hf, minilm_dir, MINILM, kind="Token", dtype=dtype, rng=rng)
    expected = ours(wikigold).data
    save_adapter(ours, tmp_path / "ours")
    base = their_base(hf, minilm_dir, our_base(minilm_dir, "Token", dtype), "Token", dtype)
    loaded = hf.peft.PeftModel.from_pretrained(base, tmp_path / "ours")
    assert difference(expected, padded_logits(hf, loaded, wikigold)) < TOLERANCE[dtype]
    theirs.save_pretrained(tmp_path / "theirs")
    again = our_base(minilm_dir, "Token", dtype, seed=2)  # another head, which the file replaces
    load_adapter(again, tmp_path / "theirs")
    assert np.array_equal(again(wikigold).data, expected)


def test_a_merged_minilm_loads_in_transformers(hf, minilm_dir, wikigold, tmp_path, dtype, rng):
    ours, theirs = adapted_pair(hf, minilm_dir, MINILM, kind="Token", dtype=dtype, rng=rng)
    merge(ours)
    save_pretrained(ours, tmp_path / "merged")
    auto = hf.transformers.AutoModelForTokenClassification
    loaded, report = auto.from_pretrained(tmp_path / "merged", output_loading_info=True)
    assert not any(report.values())
    assert str(loaded.dtype) == f"torch.{np.dtype(dtype).name}"
    assert loaded.config.id2label == dict(enumerate(LABELS))
    logits = padded_logits(hf, loaded.eval(), wikigold)
    assert difference(ours(wikigold).data, logits) < TOLERANCE[dtype]
    assert difference(ours(wikigold).data, padded_logits(hf, theirs, wikigold)) < TOLERANCE[dtype]
    tokenizer = hf.transformers.AutoTokenizer.from_pretrained(tmp_path / "merged")
    assert tokenizer("a text").input_ids == [101, 1037, 3793, 102]
