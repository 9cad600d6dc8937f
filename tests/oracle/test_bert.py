"""BERT equals transformers', live: real MiniLM on real text, and tiny models of every kind.

transformers computes padded and with eager attention, minilora packed.
"""

import warnings

import numpy as np
import pytest

from minilora.autograd import gradients, no_grad
from minilora.nn import (
    BertForMaskedLM,
    BertForSequenceClassification,
    BertForTokenClassification,
    BertModel,
)
from minilora.text import Batch

pytestmark = pytest.mark.oracle

LENGTHS = [9, 3, 16, 1, 12]


@pytest.fixture(scope="module")
def torch():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torch
    return torch


@pytest.fixture(scope="module")
def transformers(torch):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import transformers
    return transformers


def packed(padded: dict, labels=None) -> tuple[Batch, np.ndarray]:
    """The same sequences without padding, and the mask (N, L) of what was no padding."""
    mask = padded["attention_mask"].numpy().astype(bool)
    lengths = mask.sum(axis=1)
    batch = Batch(
        input_ids=padded["input_ids"].numpy()[mask],
        position_ids=np.concatenate([np.arange(n) for n in lengths]),
        token_type_ids=padded["token_type_ids"].numpy()[mask],
        offsets=np.concatenate([[0], np.cumsum(lengths)]),
        labels=labels,
    )
    return batch, mask


@pytest.fixture(scope="module")
def sentences(shared_data, minilm_dir, transformers):
    """32 sentences of wikigold, padded to the longest."""
    blocks = (shared_data / "wikigold" / "test.conll").read_text("utf-8").strip().split("\n\n")
    texts = [[line.split("\t")[0] for line in block.splitlines()] for block in blocks[:320:10]]
    tokenizer = transformers.AutoTokenizer.from_pretrained(minilm_dir)
    return tokenizer(
        texts, is_split_into_words=True, padding=True, truncation=True, return_tensors="pt"
    )


@pytest.fixture(scope="module")
def expected(torch, transformers, minilm_dir, sentences):
    """Hidden states of every token (T, D) and pooled ones (N, D), in float64."""
    model = transformers.BertModel.from_pretrained(minilm_dir, attn_implementation="eager")
    with torch.no_grad():
        out = model.double().eval()(**sentences)
    mask = sentences["attention_mask"].numpy().astype(bool)
    return out.last_hidden_state.numpy()[mask], out.pooler_output.numpy()


@pytest.mark.parametrize(
    ("dtype", "relative", "absolute"), [(np.float64, 1e-9, 1e-12), (np.float32, 0, 2e-5)]
)
def test_minilm_computes_the_same_hidden_states(
    minilm_dir, sentences, expected, dtype, relative, absolute
):
    batch, _ = packed(sentences)
    model = BertModel.from_pretrained(minilm_dir, dtype=dtype)
    with no_grad():
        hidden = model(batch)
        pooled = model.pooled(hidden, batch)
    assert batch.n_sequences == 32
    for ours, theirs in zip((hidden, pooled), expected, strict=True):
        assert ours.dtype == dtype
        np.testing.assert_allclose(ours.data, theirs, rtol=relative, atol=absolute)


class TestTinyModels:
    @pytest.fixture
    def config(self, transformers):
        return transformers.BertConfig(
            vocab_size=40,
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=24,
            max_position_embeddings=16,
            initializer_range=0.3,
            num_labels=3,
            id2label={0: "O", 1: "B-X", 2: "I-X"},
            label2id={"O": 0, "B-X": 1, "I-X": 2},
            attn_implementation="eager",
        )

    @pytest.fixture
    def padded(self, torch):
        rng = np.random.default_rng(0)
        mask = np.arange(max(LENGTHS)) < np.array(LENGTHS)[:, None]
        ids = rng.integers(1, 40, mask.shape) * mask
        types = rng.integers(0, 2, mask.shape) * mask
        arrays = {"input_ids": ids, "token_type_ids": types, "attention_mask": mask.astype(int)}
        return {name: torch.from_numpy(array) for name, array in arrays.items()}

    @pytest.fixture
    def saved(self, torch, tmp_path):
        """saved(model): the folder transformers writes, every parameter off its start."""

        def save(model, **options):
            torch.manual_seed(0)
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter += 0.1 * torch.randn_like(parameter)
            model.eval().save_pretrained(tmp_path, **options)
            return tmp_path

        return save

    @pytest.mark.parametrize("activation", ["gelu", "gelu_new", "gelu_pytorch_tanh", "relu"])
    def test_every_activation_is_equal(
        self, torch, transformers, config, padded, saved, activation
    ):
        config.hidden_act = activation
        theirs = transformers.BertModel(config).double()
        ours = BertModel.from_pretrained(saved(theirs), dtype=np.float64)
        batch, mask = packed(padded)
        with torch.no_grad():
            expected = theirs(**padded).last_hidden_state.numpy()[mask]
        np.testing.assert_allclose(ours(batch).data, expected, rtol=1e-10, atol=1e-12)

    @pytest.mark.parametrize("stored", ["float16", "bfloat16"])
    def test_half_precision_files_are_read_exactly(
        self, torch, transformers, config, saved, stored
    ):
        theirs = transformers.BertModel(config).to(getattr(torch, stored))
        ours = BertModel.from_pretrained(saved(theirs), dtype=np.float64).state_dict()
        named = dict(theirs.named_parameters())
        assert named.keys() == ours.keys()
        for name, parameter in named.items():
            assert parameter.dtype == getattr(torch, stored)
            np.testing.assert_array_equal(ours[name], parameter.detach().double().numpy())

    def test_sharded_folders_are_read(self, transformers, config, padded, saved):
        theirs = transformers.BertModel(config)
        folder = saved(theirs, max_shard_size="10KB")
        assert len(list(folder.glob("model-*.safetensors"))) > 1
        ours = BertModel.from_pretrained(folder).state_dict()
        for name, parameter in theirs.named_parameters():
            np.testing.assert_array_equal(ours[name], parameter.detach().numpy())

    @pytest.mark.parametrize(
        ("ours", "theirs"),
        [
            (BertForTokenClassification, "BertForTokenClassification"),
            (BertForSequenceClassification, "BertForSequenceClassification"),
            (BertForMaskedLM, "BertForMaskedLM"),
        ],
    )
    def test_every_head_is_equal_in_logits_loss_and_gradients(
        self, torch, transformers, config, padded, saved, ours, theirs
    ):
        theirs = getattr(transformers, theirs)(config).double()
        ours = ours.from_pretrained(saved(theirs), dtype=np.float64)
        assert ours.started_at_random == ()
        per_sequence = isinstance(ours, BertForSequenceClassification)
        mask = padded["attention_mask"].numpy().astype(bool)
        rng = np.random.default_rng(1)
        targets = rng.integers(0, 3, len(mask) if per_sequence else mask.shape)
        if not per_sequence:
            targets[~mask] = -100
        out = theirs(**padded, labels=torch.from_numpy(targets))
        out.loss.backward()
        batch, _ = packed(padded, labels=targets if per_sequence else targets[mask])
        expected = out.logits.detach().numpy()
        np.testing.assert_allclose(
            ours(batch).data, expected if per_sequence else expected[mask], rtol=1e-9, atol=1e-11
        )
        loss = ours.loss(batch)
        assert loss.item() == pytest.approx(out.loss.item(), rel=1e-12)
        grads = gradients(loss)
        named = dict(theirs.named_parameters())
        assert named.keys() == {name for name, _ in ours.named_parameters()}
        for name, parameter in ours.named_parameters():
            np.testing.assert_allclose(
                grads[parameter], named[name].grad.numpy(), rtol=1e-9, atol=1e-12, err_msg=name
            )

    def test_the_checkpoints_label_names_are_read(self, transformers, config, saved):
        folder = saved(transformers.BertForTokenClassification(config))
        model = BertForTokenClassification.from_pretrained(folder)
        assert model.label_names == ("O", "B-X", "I-X")
        assert model.config.to_dict()["id2label"] == {"0": "O", "1": "B-X", "2": "I-X"}

    def test_a_config_written_by_us_is_read_by_transformers(self, transformers, config, saved):
        folder = saved(transformers.BertForTokenClassification(config))
        ours = BertForTokenClassification.from_pretrained(folder).config
        again = transformers.BertConfig.from_dict(ours.to_dict())
        assert again.to_dict() == transformers.BertConfig.from_pretrained(folder).to_dict()
