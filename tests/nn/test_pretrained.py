"""From a folder to a model: every spelling that is accepted, every misfit that is refused."""

import numpy as np
import pytest

from minilora.errors import CheckpointError, ConfigError
from minilora.nn import (
    BertForMaskedLM,
    BertForSequenceClassification,
    BertForTokenClassification,
    BertModel,
)
from minilora.storage import write_json, write_tensors

LABELS = ["O", "B-X", "I-X"]
QUERY = "encoder.layer.1.attention.self.query.weight"


@pytest.fixture
def save(tmp_path):
    """save(model): write a model's folder; keywords change, add or (with None) drop tensors."""

    def write(model, *, rename=lambda name: name, config=None, **changes):
        tensors = {rename(name): array for name, array in model.state_dict().items()}
        tensors = {name: a for name, a in (tensors | changes).items() if a is not None}
        write_tensors(tmp_path / "model.safetensors", tensors)
        write_json(tmp_path / "config.json", model.config.to_dict() | (config or {}))
        return tmp_path

    return write


@pytest.fixture
def encoder(config, rng, stir):
    return stir(BertModel(config, rng=rng, dtype=np.float64))


def without_prefix(name: str) -> str:
    return name.removeprefix("bert.")


def old_spelling(name: str) -> str:
    name = name.replace("LayerNorm.weight", "LayerNorm.gamma")
    return name.replace("LayerNorm.bias", "LayerNorm.beta")


def same(one, two) -> bool:
    left, right = one.state_dict(), two.state_dict()
    return left.keys() == right.keys() and all((left[n] == right[n]).all() for n in left)


def refusal(load, *args, **options) -> str:
    with pytest.raises(CheckpointError) as caught:
        load(*args, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


class TestSpellings:
    @pytest.mark.parametrize("rename", [str, without_prefix, old_spelling])
    def test_a_model_comes_back_bit_for_bit(self, make_model, save, per, rename):
        model = make_model(per)
        again = type(model).from_pretrained(save(model, rename=rename), dtype=np.float64)
        assert same(model, again)
        assert again.started_at_random == ()

    def test_the_encoder_is_found_below_a_head(self, make_model, save):
        model = make_model("sequence")
        again = BertModel.from_pretrained(save(model), dtype=np.float64)
        assert same(model.bert, again)

    def test_folder_and_config_are_kept(self, encoder, save):
        folder = save(encoder)
        again = BertModel.from_pretrained(str(folder))
        assert again.base_dir == folder
        assert again.config == encoder.config

    def test_buffers_and_heads_the_model_has_not_are_passed_over(self, encoder, save):
        others = {
            "embeddings.position_ids": np.arange(10)[None],
            "bert.embeddings.token_type_ids": np.zeros((1, 10), np.int64),
            "cls.predictions.bias": np.zeros(23),
            "cls.seq_relationship.weight": np.zeros((2, 8)),
            "classifier.weight": np.full((5, 8), np.nan),
            "qa_outputs.bias": np.zeros(2),
        }
        folder = save(encoder, **others)
        assert same(encoder, BertModel.from_pretrained(folder, dtype=np.float64))

    def test_a_pooler_nobody_asked_for_is_passed_over(self, encoder, save):
        again = BertModel.from_pretrained(save(encoder), add_pooling_layer=False)
        assert again.pooler is None

    def test_a_saved_copy_of_the_decoder_is_accepted(self, make_model, save):
        model = make_model("word")
        copies = {
            "cls.predictions.decoder.weight": model.bert.embeddings.word_embeddings.weight.data,
            "cls.predictions.decoder.bias": model.cls.predictions.bias.data,
        }
        again = BertForMaskedLM.from_pretrained(save(model, **copies), dtype=np.float64)
        assert same(model, again)

    def test_the_bias_may_be_there_as_the_decoders_only(self, make_model, save):
        model = make_model("word")
        moved = {
            "cls.predictions.bias": None,
            "cls.predictions.decoder.bias": model.cls.predictions.bias.data,
        }
        again = BertForMaskedLM.from_pretrained(save(model, **moved), dtype=np.float64)
        assert same(model, again)


class TestDtypes:
    @pytest.mark.parametrize("stored", [np.float16, np.float32, np.float64])
    @pytest.mark.parametrize("wanted", [np.float32, np.float64])
    def test_weights_are_converted(self, encoder, save, stored, wanted):
        for _, p in encoder.named_parameters():
            p.data = p.data.astype(stored)
        again = BertModel.from_pretrained(save(encoder), dtype=wanted)
        for name, array in again.state_dict().items():
            assert array.dtype == wanted
            np.testing.assert_array_equal(array, encoder.state_dict()[name].astype(wanted))

    def test_weights_of_the_right_dtype_stay_in_the_mapped_file(self, encoder, save):
        again = BertModel.from_pretrained(save(encoder), dtype=np.float64)
        first, *others = again.state_dict().values()
        assert all(not array.flags.owndata for array in (first, *others))

    def test_training_does_not_change_the_file(self, encoder, save):
        folder = save(encoder)
        before = (folder / "model.safetensors").read_bytes()
        model = BertModel.from_pretrained(folder, dtype=np.float64)
        for _, p in model.named_parameters():
            p.data += 1
        assert (folder / "model.safetensors").read_bytes() == before

    def test_integers_for_weights_are_refused(self, encoder, save):
        message = refusal(BertModel.from_pretrained, save(encoder, **{QUERY: np.ones((8, 8), int)}))
        assert f"{QUERY} holds int64, floating point was expected" in message

    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    def test_weights_that_are_not_finite_are_refused_by_name(self, encoder, save, bad):
        W = np.ones((8, 8))
        W[1, 2:4] = bad
        message = refusal(BertModel.from_pretrained, save(encoder, **{QUERY: W}))
        assert f"{QUERY} has 2 of 64 entries NaN or infinite" in message

    def test_weights_too_large_for_the_dtype_are_refused_by_name(self, encoder, save):
        folder = save(encoder, **{QUERY: np.full((8, 8), 1e300)})
        assert "64 of 64 entries" in refusal(BertModel.from_pretrained, folder, dtype=np.float32)


class TestMisfits:
    def test_all_misfits_are_in_one_error(self, encoder, save):
        folder = save(
            encoder,
            **{
                QUERY: None,
                "encoder.layer.1.attention.self.querry.weight": np.ones((8, 8)),
                "embeddings.word_embeddings.weight": np.ones((24, 8)),
                "pooler.dense.bias": np.full(8, np.nan),
                "encoder.layer.2.output.dense.bias": np.ones(8),
            },
        )
        message = refusal(BertModel.from_pretrained, folder)
        assert message.startswith(f"{folder}: does not fit BertModel: ")
        for misfit in (
            f"{QUERY} (8, 8) is missing (is it encoder.layer.1.attention.self.querry.weight?)",
            "encoder.layer.1.attention.self.querry.weight (8, 8) is unexpected",
            "encoder.layer.2.output.dense.bias (8,) is unexpected",
            "embeddings.word_embeddings.weight is (24, 8) in the checkpoint, (23, 8) here",
            "pooler.dense.bias has 8 of 8 entries NaN or infinite",
        ):
            assert misfit in message

    def test_a_refused_checkpoint_leaves_the_model_as_it_was(self, make_model, encoder, save):
        model = BertModel.from_pretrained(save(encoder), dtype=np.float64)
        save(encoder, **{QUERY: None})
        refusal(BertModel.from_pretrained, model.base_dir)
        assert same(model, encoder)

    def test_a_folder_of_another_model_is_refused_without_a_flood(self, encoder, save):
        foreign = {f"transformer.h.{i}.weight": np.ones(1) for i in range(300)}
        message = refusal(BertModel.from_pretrained, save(encoder, **foreign))
        assert "and 280 more like that" in message
        assert len(message) < 2000

    def test_a_config_with_more_layers_than_the_file_is_refused(self, encoder, save):
        message = refusal(BertModel.from_pretrained, save(encoder, config={"num_hidden_layers": 3}))
        assert "encoder.layer.2.attention.self.query.weight (8, 8) is missing" in message

    def test_a_tensor_under_two_spellings_is_refused(self, encoder, save):
        folder = save(encoder, **{f"bert.{QUERY}": np.ones((8, 8))})
        assert f"holds tensor '{QUERY}' a second time" in refusal(BertModel.from_pretrained, folder)

    def test_a_decoder_of_its_own_is_refused(self, make_model, save):
        folder = save(make_model("word"), **{"cls.predictions.decoder.weight": np.ones((23, 8))})
        assert (
            "cls.predictions.decoder.weight differs from bert.embeddings.word_embeddings.weight"
        ) in refusal(BertForMaskedLM.from_pretrained, folder)

    def test_half_a_head_is_no_head(self, make_model, save):
        folder = save(make_model("token"), **{"classifier.bias": None})
        message = refusal(BertForTokenClassification.from_pretrained, folder)
        assert "classifier.bias (3,) is missing" in message

    def test_a_missing_folder_is_named(self, tmp_path):
        message = refusal(BertModel.from_pretrained, tmp_path / "nowhere")
        assert message.startswith(f"{tmp_path / 'nowhere'}: not a folder")

    def test_a_config_that_is_no_plain_bert_is_refused(self, encoder, save):
        folder = save(encoder, config={"position_embedding_type": "relative_key"})
        message = refusal(BertModel.from_pretrained, folder)
        assert message.startswith(f"{folder / 'config.json'}: position_embedding_type is")


class TestWhatStartsAtRandom:
    def test_a_missing_classifier_does_and_the_encoder_is_loaded(self, encoder, save, config, rng):
        folder = save(encoder)
        model = BertForTokenClassification.from_pretrained(
            folder, labels=LABELS, rng=rng, dtype=np.float64
        )
        assert model.started_at_random == ("classifier.weight", "classifier.bias")
        assert model.classifier.weight.shape == (3, 8)
        assert model.classifier.weight.data.std() == pytest.approx(0.4, rel=0.5)
        assert not model.classifier.bias.data.any()
        assert (model.state_dict()[f"bert.{QUERY}"] == encoder.state_dict()[QUERY]).all()

    def test_the_same_generator_gives_the_same_classifier(self, encoder, save):
        one, two = (
            BertForTokenClassification.from_pretrained(
                save(encoder), labels=LABELS, rng=np.random.default_rng(3)
            )
            for _ in range(2)
        )
        assert same(one, two)

    def test_a_missing_pooler_does(self, encoder, save, rng):
        folder = save(encoder, **{"pooler.dense.weight": None, "pooler.dense.bias": None})
        model = BertForSequenceClassification.from_pretrained(folder, labels=LABELS, rng=rng)
        assert "bert.pooler.dense.weight" in model.started_at_random
        assert BertModel.from_pretrained(folder, rng=rng).started_at_random == (
            "pooler.dense.weight",
            "pooler.dense.bias",
        )

    def test_a_missing_masked_lm_head_does_and_the_table_stays(self, encoder, save, rng):
        model = BertForMaskedLM.from_pretrained(save(encoder), rng=rng, dtype=np.float64)
        assert len(model.started_at_random) == 5
        assert (model.cls.predictions.transform.LayerNorm.weight.data == 1).all()
        table = model.cls.predictions.decoder.weight.data
        assert (table == encoder.embeddings.word_embeddings.weight.data).all()

    def test_without_a_generator_that_is_refused(self, encoder, save):
        with pytest.raises(ConfigError, match=r"has no classifier.weight, classifier.bias.*rng="):
            BertForTokenClassification.from_pretrained(save(encoder), labels=LABELS)


class TestLabels:
    def test_without_labels_the_checkpoints_names_are_taken(self, make_model, save):
        model = make_model("token")
        again = BertForTokenClassification.from_pretrained(save(model), dtype=np.float64)
        assert again.label_names == tuple(LABELS)
        assert again.config == model.config
        assert same(model, again)

    def test_a_head_without_names_gets_those_that_transformers_makes_up(self, make_model, save):
        folder = save(make_model("token"), config={"id2label": None})
        again = BertForTokenClassification.from_pretrained(folder)
        assert again.label_names == ("LABEL_0", "LABEL_1", "LABEL_2")

    def test_without_labels_and_head_there_is_nothing_to_name(self, encoder, save):
        with pytest.raises(ConfigError, match="has no classifier; pass labels="):
            BertForTokenClassification.from_pretrained(save(encoder))

    def test_other_names_for_as_many_classes_take_the_head_as_it_is(self, make_model, save):
        model = make_model("token")
        again = BertForTokenClassification.from_pretrained(
            save(model), labels=["A", "B", "C"], dtype=np.float64
        )
        assert again.label_names == ("A", "B", "C")
        assert same(model, again)

    def test_the_same_names_in_another_order_reorder_the_rows(self, make_model, make_batch, save):
        model, batch = make_model("token"), make_batch([5])
        again = BertForTokenClassification.from_pretrained(
            save(model), labels=["I-X", "O", "B-X"], dtype=np.float64
        )
        np.testing.assert_array_equal(again(batch).data, model(batch).data[:, [2, 0, 1]])

    def test_another_number_of_classes_starts_a_new_head(self, make_model, save, rng):
        folder = save(make_model("sequence"))
        again = BertForSequenceClassification.from_pretrained(folder, labels=["A", "B"], rng=rng)
        assert again.started_at_random == ("classifier.weight", "classifier.bias")
        assert again.classifier.weight.shape == (2, 8)
        assert again.config.label_names == ("A", "B")

    @pytest.mark.parametrize("labels", [None, LABELS])
    def test_a_head_that_does_not_fit_its_own_names_is_refused(self, make_model, save, labels):
        folder = save(make_model("token"), **{"classifier.weight": np.ones((4, 8))})
        message = refusal(BertForTokenClassification.from_pretrained, folder, labels=labels)
        assert "classifier.weight is (4, 8) in the checkpoint, (3, 8) here" in message

    def test_a_head_for_another_kind_of_problem_is_refused(self, make_model, save):
        folder = save(make_model("sequence"), config={"problem_type": "regression"})
        message = refusal(BertForSequenceClassification.from_pretrained, folder)
        assert "problem_type is 'regression', expected 'single_label_classification'" in message
