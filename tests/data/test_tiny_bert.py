"""data/tiny_bert: small, whole, what its README says, and what transformers makes of it."""

import hashlib
import json
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from distil.plan import Plan
from minilora import (
    Batch,
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    BertForTokenClassification,
    BertModel,
    WordPieceTokenizer,
    base_folder,
    no_grad,
    read_corpus,
)
from minilora.storage import read_tensors
from minilora.text import Sentence

DATA = Path(__file__).resolve().parents[2] / "data"
TINY = DATA / "tiny_bert"
FILES = ("config.json", "model.safetensors", "tokenizer_config.json", "vocab.txt")
LIMIT = 6_000_000
"""Bytes, of all files together."""

TRICKY = [
    *("Łukasz Żak met Zoë Brontë in São Tomé", "NASA'S PRESS OFFICE, WASHINGTON D.C.", "iPhone"),
    *("mcdonald's in o'hare", "¡Qué va! — “no”…", "€5.50 (or $6) at 10:45, +3 °C", "北京 and 東京"),
    *(
        "Straße, naïve, Ångström, FIANCÉE",
        "Ωmega Αθήνα Москва",
        "x" * 99,
        "a-b_c/d@e.org #1 & 100%",
    ),
]


@pytest.fixture(scope="module")
def tokenizer():
    return WordPieceTokenizer.from_pretrained(TINY)


@pytest.fixture(scope="module")
def masked_lm():
    return BertForMaskedLM.from_pretrained(TINY)


@pytest.fixture(scope="module")
def readme():
    return (DATA / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def batch(tokenizer):
    return Batch.pack([tokenizer(text) for text in ("Anna Vale works in Lund.", "Hello")])


@pytest.fixture(scope="module")
def guesses(masked_lm, tokenizer):
    """log p (R, V) of R masked words, and their ids (R,)."""
    hidden, places, true, n = [], [], [], 0
    for s, row in enumerate(read_corpus(DATA / "ner" / "dev.conll", "ner").rows):
        encoding = tokenizer(row.words)
        at = single_pieces(encoding)[s % 7 :: 7]
        ids = encoding.input_ids.copy()
        true += ids[at].tolist()
        ids[at] = tokenizer.vocab["[MASK]"]
        hidden.append(replace(encoding, input_ids=ids))
        places += [n + t for t in at]
        n += len(ids)
    with no_grad():
        states = masked_lm.bert(Batch.pack(hidden))
        logits = masked_lm.cls.predictions(states[np.array(places)]).data.astype(np.float64)
    logits -= logits.max(axis=1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)), np.array(true)


@pytest.fixture(scope="module")
def transformers():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import transformers
    return transformers


@pytest.fixture(scope="module")
def theirs(transformers):
    model = transformers.BertForMaskedLM.from_pretrained(TINY, attn_implementation="eager")
    return model.double().eval()


@pytest.fixture(scope="module")
def ours():
    return BertForMaskedLM.from_pretrained(TINY, dtype=np.float64)


@pytest.fixture(scope="module", params=["AutoTokenizer", "BertTokenizerFast"])
def their_tokenizer(request, transformers):
    return getattr(transformers, request.param).from_pretrained(TINY)


@pytest.fixture(scope="module")
def texts():
    words = [row.words for row in read_corpus(DATA / "ner" / "dev.conll", "ner").rows]
    return [" ".join(some) for some in words[::8]] + TRICKY


def shipped_texts():
    """Every text of the shipped sets, sentences as words."""
    for path in sorted(DATA.glob("*/*.*")):
        if path.suffix in {".conll", ".tsv"}:
            task = "ner" if path.suffix == ".conll" else "classify"
            rows = read_corpus(path, task).rows
            yield from (row.words if isinstance(row, Sentence) else row.text for row in rows)


class TestFiles:
    def test_are_those_of_an_encoder_and_no_others(self):
        assert sorted(path.name for path in TINY.iterdir()) == list(FILES)

    def test_are_small_together(self):
        assert sum(path.stat().st_size for path in TINY.iterdir()) <= LIMIT

    def test_are_what_tiny_stands_for(self):
        assert base_folder("tiny") == TINY

    def test_hold_finite_halves(self):
        tensors = read_tensors(TINY / "model.safetensors")
        assert {array.dtype for array in tensors.values()} == {np.dtype(np.float16)}
        assert all(np.isfinite(array).all() for array in tensors.values())

    def test_are_what_the_commands_defaults_make(self):
        settings = json.loads((TINY / "config.json").read_text())
        plan = Plan().config().to_dict()
        assert {name: settings[name] for name in plan} == plan
        tokenizer = json.loads((TINY / "tokenizer_config.json").read_text())
        assert tokenizer["do_lower_case"] == (not Plan().cased)

    def test_are_those_that_the_readme_tells_about(self, readme):
        assert hashlib.sha256((TINY / "model.safetensors").read_bytes()).hexdigest() in readme
        config = BertConfig.from_json(TINY / "config.json")
        assert f"{config.vocab_size:,} word pieces" in readme
        assert f"width {config.hidden_size}" in readme

    def test_have_a_readme_that_names_teacher_and_licence(self, readme):
        assert "all-MiniLM-L6-v2" in readme
        assert "Apache-2.0" in readme


class TestModels:
    def test_encoder_comes_with_a_pooler(self, batch):
        model = BertModel.from_pretrained(TINY)
        pooled = model.pooled(model(batch), batch)
        assert model.started_at_random == ()
        assert pooled.shape == (2, model.config.hidden_size)
        assert np.abs(pooled.data[0] - pooled.data[1]).max() > 0.1

    def test_masked_lm_comes_with_its_head(self, masked_lm, batch):
        assert masked_lm.started_at_random == ()
        assert masked_lm(batch).shape == (batch.n_tokens, masked_lm.config.vocab_size)

    @pytest.mark.parametrize("kind", [BertForTokenClassification, BertForSequenceClassification])
    def test_classifiers_start_with_a_fresh_head(self, kind, batch):
        model = kind.from_pretrained(TINY, labels=["O", "B-X"], rng=np.random.default_rng(0))
        assert model.started_at_random == ("classifier.weight", "classifier.bias")
        assert np.isfinite(model(batch).data).all()

    def test_read_texts_as_long_as_there_are_positions(self, masked_lm, tokenizer):
        P = masked_lm.config.max_position_embeddings
        batch = Batch.pack([tokenizer("the " * 1000, max_length=P)])
        assert np.isfinite(masked_lm.bert(batch).data).all()


class TestTokenizer:
    def test_has_one_id_for_each_row_of_the_table(self, tokenizer, masked_lm):
        assert sorted(tokenizer.vocab.values()) == list(range(masked_lm.config.vocab_size))
        assert list(tokenizer.vocab)[:5] == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]

    @pytest.mark.parametrize("text", TRICKY)
    def test_spells_names_capitals_accents_and_signs(self, tokenizer, text):
        assert "[UNK]" not in tokenizer(text).tokens

    def test_spells_all_that_is_shipped(self, tokenizer):
        for text in shipped_texts():
            assert "[UNK]" not in tokenizer(text).tokens, text

    def test_tells_names_from_words(self, tokenizer):
        assert tokenizer("Rose").tokens != tokenizer("rose").tokens
        assert tokenizer("US").tokens != tokenizer("us").tokens

    def test_needs_few_pieces_a_word(self, tokenizer):
        rows = read_corpus(DATA / "ner" / "test.conll", "ner").rows
        pieces = sum(len(tokenizer(row.words)) - 2 for row in rows)
        assert pieces < 2 * sum(len(row.words) for row in rows)


class TestMaskedWords:
    """Every seventh word of the dev sentences, of those that are one piece, is masked."""

    def test_are_more_probable_than_by_their_frequency(self, guesses, tokenizer):
        log_p, true = guesses
        train = read_corpus(DATA / "ner" / "train.conll", "ner").rows
        ids = np.concatenate([tokenizer(row.words).input_ids[1:-1] for row in train])
        count = 1 + np.bincount(ids, minlength=log_p.shape[1])
        by_frequency = np.log(count / count.sum())[true].mean()
        assert len(true) > 150
        assert log_p[np.arange(len(true)), true].mean() > by_frequency + 0.5

    def test_are_mostly_among_the_best_percent_of_guesses(self, guesses):
        log_p, true = guesses
        rank = (log_p > log_p[np.arange(len(true)), true][:, None]).sum(axis=1)
        assert np.median(rank) < log_p.shape[1] / 100

    def test_are_better_guessed_than_those_of_other_sentences(self, guesses):
        log_p, true = guesses
        own = log_p[np.arange(len(true)), true].mean()
        others = log_p[np.arange(len(true)), np.roll(true, 25)].mean()
        assert own > others + 1


def single_pieces(encoding):
    """Places of words that are one piece."""
    word = encoding.word_ids
    return [t for t in range(1, len(word) - 1) if word[t - 1] != word[t] != word[t + 1]]


@pytest.mark.oracle
class TestTransformers:
    def test_cuts_texts_into_the_same_pieces(self, their_tokenizer, tokenizer):
        for text in [*shipped_texts(), *TRICKY]:
            split = not isinstance(text, str)
            expected = their_tokenizer(text, is_split_into_words=split)
            assert tokenizer(text).input_ids.tolist() == expected["input_ids"], text

    def test_knows_how_long_a_text_may_be(self, their_tokenizer, ours):
        assert their_tokenizer.model_max_length == ours.config.max_position_embeddings

    def test_computes_the_same_states_and_guesses(self, ours, theirs, tokenizer, texts):
        import torch

        batch = Batch.pack([tokenizer(text) for text in texts])
        with no_grad():
            hidden = ours.bert(batch)
            logits = ours.cls.predictions(hidden).data
        for start, end in zip(batch.offsets, batch.offsets[1:], strict=False):
            with torch.no_grad():
                out = theirs(
                    torch.tensor(batch.input_ids[None, start:end]), output_hidden_states=True
                )
            np.testing.assert_allclose(
                hidden.data[start:end], out.hidden_states[-1][0].numpy(), rtol=1e-7, atol=1e-9
            )
            np.testing.assert_allclose(
                logits[start:end], out.logits[0].numpy(), rtol=1e-7, atol=1e-9
            )

    def test_pools_the_same(self, transformers, tokenizer):
        import torch

        theirs = transformers.BertModel.from_pretrained(TINY, attn_implementation="eager")
        ours = BertModel.from_pretrained(TINY, dtype=np.float64)
        batch = Batch.pack([tokenizer("Anna Vale works in Lund.")])
        with torch.no_grad():
            expected = theirs.double().eval()(torch.tensor(batch.input_ids[None])).pooler_output
        found = ours.pooled(ours(batch), batch).data
        np.testing.assert_allclose(found, expected.numpy(), rtol=1e-7, atol=1e-9)

    def test_lacks_nothing_and_finds_nothing_too_much(self, transformers):
        _, info = transformers.BertForPreTraining.from_pretrained(TINY, output_loading_info=True)
        assert {name.split(".")[1] for name in info["missing_keys"]} <= {"seq_relationship"}
        assert not info["unexpected_keys"]
        assert not info["mismatched_keys"]
