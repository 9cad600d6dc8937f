import copy
import json
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minilora.errors import CheckpointError
from minilora.text import WordPieceTokenizer


def write(folder, name, content) -> None:
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / name).write_text(text, encoding="utf-8")


def tokens(folder, text) -> list[str]:
    return WordPieceTokenizer.from_pretrained(folder)(text).tokens[1:-1]


def refusal(folder) -> str:
    with pytest.raises(CheckpointError) as refused:
        WordPieceTokenizer.from_pretrained(folder)
    message = str(refused.value)
    assert "\n" not in message
    assert message.startswith(str(folder))
    return message.removeprefix(str(folder)).removeprefix("/")


def test_a_vocabulary_alone_is_berts_uncased(folder):
    assert tokens(folder, "The Café [MASK]") == ["the", "cafe", "[MASK]"]


def test_the_files_read_are_named(folder):
    write(folder, "tokenizer_config.json", {})
    files = WordPieceTokenizer.from_pretrained(str(folder)).files
    assert [file.name for file in files] == ["vocab.txt", "tokenizer_config.json"]


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"do_lower_case": False}, ["[UNK]", "café", "中", "国"]),
        ({"do_lower_case": False, "strip_accents": True}, ["[UNK]", "cafe", "中", "国"]),
        ({"strip_accents": False}, ["the", "café", "中", "国"]),
        ({"tokenize_chinese_chars": False}, ["the", "cafe", "[UNK]"]),
        ({"strip_accents": None, "tokenizer_class": "BertTokenizerFast"}, None),
    ],
)
def test_the_configuration_says_how_to_normalise(folder, config, expected):
    write(folder, "tokenizer_config.json", config)
    assert tokens(folder, "The café 中国") == (expected or ["the", "cafe", "中", "国"])


def test_of_two_vocabularies_that_of_tokenizer_json_counts(folder, saved):
    saved["model"]["vocab"]["##zz"] = len(saved["model"]["vocab"])
    write(folder, "tokenizer.json", saved)
    write(folder, "tokenizer_config.json", {"tokenizer_class": "BertTokenizer"})
    assert tokens(folder, "CATZZ") == ["cat", "##zz"]


def test_a_generic_class_leaves_everything_to_tokenizer_json(folder, saved):
    write(folder, "tokenizer.json", saved | {"model": saved["model"] | {"unk_token": "a"}})
    write(folder, "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast"})
    assert tokens(folder, "The cat") == ["a", "cat"]


def test_a_tokenizer_json_alone_says_everything(tmp_path, saved):
    write(tmp_path, "tokenizer.json", saved)
    assert tokens(tmp_path, "The cat") == ["[UNK]", "cat"]
    write(tmp_path, "config.json", {"model_type": "bert"})
    assert tokens(tmp_path, "The cat") == ["the", "cat"]


def test_a_template_of_berts_shape_is_read(tmp_path, saved):
    def special(token, kind):
        return {"SpecialToken": {"id": token, "type_id": kind}}

    first, second = ({"Sequence": {"id": name, "type_id": i}} for i, name in enumerate("AB"))
    single = [special("a", 0), first, special("b", 0)]
    pair = [*single, second, special("b", 1)]
    template = {"type": "TemplateProcessing", "single": single, "pair": pair}
    write(tmp_path, "tokenizer.json", saved | {"post_processor": template})
    assert WordPieceTokenizer.from_pretrained(tmp_path)("cat").tokens == ["a", "cat", "b"]
    template["pair"] = [*single, second]
    write(tmp_path, "tokenizer.json", saved | {"post_processor": template})
    assert "frames texts as [('a', 0), ('$A', 0), ('b', 0)]" in refusal(tmp_path)


def test_special_tokens_may_have_other_names(folder):
    write(folder, "special_tokens_map.json", {"cls_token": "a", "sep_token": {"content": "b"}})
    assert WordPieceTokenizer.from_pretrained(folder)("on").tokens == ["a", "on", "b"]


def test_a_list_of_added_tokens_silences_the_older_files(folder, vocab):
    new = {str(len(vocab)): {"content": "<new>", "special": True}}
    write(folder, "tokenizer_config.json", {"added_tokens_decoder": new})
    write(folder, "special_tokens_map.json", {"cls_token": "a"})
    write(folder, "added_tokens.json", {"<old>": len(vocab) + 1})
    assert WordPieceTokenizer.from_pretrained(folder)("<new>").tokens == ["[CLS]", "<new>", "[SEP]"]


def test_older_files_may_add_tokens(folder, vocab):
    write(folder, "added_tokens.json", {"<old>": len(vocab)})
    write(folder, "special_tokens_map.json", {"additional_special_tokens": ["<more>"]})
    tokenizer = WordPieceTokenizer.from_pretrained(folder)
    assert tokenizer.vocab["<old>"] == len(vocab)
    assert tokenizer.vocab["<more>"] == len(vocab) + 1
    assert tokenizer("<OLD><old><MORE><more>").tokens.count("<old>") == 2  # not special: normalised
    assert tokenizer("<MORE><more>").tokens.count("<more>") == 1


def test_a_list_of_added_tokens_silences_those_of_tokenizer_json(tmp_path, saved, vocab):
    saved["added_tokens"] = [{"content": "<old>", "id": len(vocab)}]
    write(tmp_path, "tokenizer.json", saved)
    new = {str(len(vocab)): {"content": "<new>"}}
    write(tmp_path, "tokenizer_config.json", {"added_tokens_decoder": new})
    tokenizer = WordPieceTokenizer.from_pretrained(tmp_path)
    assert tokenizer.vocab == vocab | {"<new>": len(vocab)}


def test_added_tokens_are_numbered_in_the_order_of_their_ids(folder, vocab):
    n = len(vocab)
    write(folder, "added_tokens.json", {"<b>": n + 1, "<a>": n, "<c>": n + 2})
    assert WordPieceTokenizer.from_pretrained(folder).vocab["<c>"] == n + 2


def test_a_special_token_that_is_named_may_be_new_to_the_vocabulary(folder, vocab):
    write(folder, "tokenizer_config.json", {"mask_token": "<mask>"})
    assert WordPieceTokenizer.from_pretrained(folder).vocab["<mask>"] == len(vocab)


def test_a_vocabulary_without_mask_has_no_such_token(tmp_path):
    (tmp_path / "vocab.txt").write_text("[UNK]\n[CLS]\n[SEP]\n[\nmask\n]\n")
    assert tokens(tmp_path, "[MASK]") == ["[", "mask", "]"]


def test_windows_line_ends_and_a_missing_last_one_are_fine(folder, vocab):
    text = (folder / "vocab.txt").read_text(encoding="utf-8").strip()
    (folder / "vocab.txt").write_bytes(text.replace("\n", "\r\n").encode())
    assert WordPieceTokenizer.from_pretrained(folder).vocab == vocab


@pytest.mark.parametrize("last", ["", "\n"])
def test_pieces_may_be_odd_spaces(tmp_path, last):
    (tmp_path / "vocab.txt").write_text("[UNK]\n[CLS]\n[SEP]\n\u2028\n\u3000" + last, "utf-8")
    assert WordPieceTokenizer.from_pretrained(tmp_path).vocab_size == 5


def test_a_missing_folder_is_named(tmp_path):
    assert "has no vocab.txt or tokenizer.json" in refusal(tmp_path / "nowhere")
    assert "has no vocab.txt or tokenizer.json" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[UNK]\n[CLS]\n\n[SEP]\n", "vocab.txt:3: is empty"),
        ("[UNK]\n[CLS]\n[SEP]\n\n", "vocab.txt:4: is empty"),
        ("[UNK]\n[CLS]\na\n[SEP]\na\n", "vocab.txt:5: 'a' is on line 3 already"),
        ("", "vocab.txt:1: is empty"),
        ("[UNK]\n[CLS]\na\n", "vocab.txt: has no entry '[SEP]', the sep_token"),
        ("[CLS]\n[SEP]\na\n", "vocab.txt: has no entry '[UNK]', the unk_token"),
    ],
)
def test_a_damaged_vocabulary_is_named_with_its_line(tmp_path, content, message):
    (tmp_path / "vocab.txt").write_text(content)
    assert refusal(tmp_path).startswith(message)


def test_a_vocabulary_in_another_encoding_is_named_with_its_line(tmp_path):
    (tmp_path / "vocab.txt").write_bytes("[UNK]\ncafé\n".encode("latin1"))
    assert refusal(tmp_path).startswith("vocab.txt:2: byte 0xe9 at offset 9 is not UTF-8")


@pytest.mark.parametrize(
    ("vocab", "message"),
    [
        (None, "its model has no vocabulary"),
        ({"a": 0, "b": 0}, "'a' and 'b' both have id 0"),
        ({"a": 0, "b": 2}, "'b' has id 2 in a vocabulary of 2; whole numbers from 0 on"),
        ({"a": 0, "b": "1"}, "'b' has id '1'"),
        ({"a": 0, "b": True}, "'b' has id True"),
        ({"a": 0, "": 1}, "the piece with id 1 is empty"),
        ({"[UNK]": 0, "[CLS]": 1}, "has no entry '[SEP]'"),
    ],
)
def test_a_damaged_tokenizer_json_is_named(tmp_path, saved, vocab, message):
    saved["model"]["vocab"] = vocab
    write(tmp_path, "tokenizer.json", saved)
    assert refusal(tmp_path).startswith(f"tokenizer.json: {message}")


@pytest.mark.parametrize(
    ("part", "kind"),
    [
        ("model", "BPE"),
        ("model", "Unigram"),
        ("normalizer", "Sequence"),
        ("pre_tokenizer", "ByteLevel"),
        ("post_processor", "RobertaProcessing"),
    ],
)
@pytest.mark.parametrize("declared", [None, "BertTokenizer"])
def test_tokenizers_of_other_kinds_are_refused_by_name(tmp_path, saved, part, kind, declared):
    saved[part]["type"] = kind
    write(tmp_path, "tokenizer.json", saved)
    if declared:
        write(tmp_path, "tokenizer_config.json", {"tokenizer_class": declared})
    message = refusal(tmp_path)
    assert message.startswith(f"tokenizer.json: its {part} is of kind {kind}")
    assert message.endswith("Take a BERT-family checkpoint.")


@pytest.mark.parametrize(
    ("part", "key", "value"),
    [("normalizer", "lowercase", "yes"), ("model", "max_input_chars_per_word", None)],
)
def test_a_setting_of_another_kind_is_named(tmp_path, saved, part, key, value):
    saved[part][key] = value
    write(tmp_path, "tokenizer.json", saved)
    assert refusal(tmp_path).startswith(f"tokenizer.json: {key} of its {part} is {value!r}")


@pytest.mark.parametrize("key", ["cls", "sep"])
def test_a_frame_that_is_no_piece_is_named(tmp_path, saved, key):
    saved["post_processor"] = {"type": "BertProcessing", "cls": ["[CLS]", 2], "sep": ["[SEP]", 3]}
    saved["post_processor"][key] = [[]]
    write(tmp_path, "tokenizer.json", saved)
    assert refusal(tmp_path).startswith(f"tokenizer.json: {key} of its post_processor is []; a pi")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 3) | st.sampled_from(["", "a", "[CLS]", "content"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner),
    max_leaves=3,
)
TOKEN_KEYS = ["added_tokens_decoder", "extra_special_tokens", "cls_token", "unk_token"]


@given(st.dictionaries(st.sampled_from(TOKEN_KEYS), JSON), st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_whatever_the_files_hold_there_is_a_tokenizer_or_one_line(tmp_path, saved, config, data):
    content = copy.deepcopy(saved)
    inside = content
    for place in data.draw(st.lists(st.integers(0, 9), min_size=1, max_size=3)):
        keys = sorted(inside)
        outside, key = inside, keys[place % len(keys)]
        inside = outside[key]
        if not isinstance(inside, dict) or not inside:
            break
    outside[key] = data.draw(JSON)
    write(tmp_path, "tokenizer.json", content)
    write(tmp_path, "tokenizer_config.json", config)
    message = ""
    try:
        assert WordPieceTokenizer.from_pretrained(tmp_path)("the cat [MASK]").tokens
    except CheckpointError as refused:
        message = str(refused)
    assert "\n" not in message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            '{"do_lower_case": }',
            "tokenizer_config.json:1: this part of the tokenizer is not JSON: Expecting value",
        ),
        ('{\n"a": 1', "tokenizer_config.json:2: this part of the tokenizer is not JSON"),
        ("[1]", "tokenizer_config.json: this part of the tokenizer holds a JSON list; an object"),
        ("[" * 100_000, "tokenizer_config.json: this part of the tokenizer cannot be read as JSON"),
        ({"do_lower_case": "no"}, "tokenizer_config.json: do_lower_case is 'no'; true or false"),
        ({"strip_accents": 1}, "tokenizer_config.json: strip_accents is 1; true or false"),
        ({"truncation_side": "left"}, "tokenizer_config.json: truncation_side is 'left'"),
        ({"split_special_tokens": True}, "tokenizer_config.json: split_special_tokens is True"),
        ({"extra_special_tokens": [5]}, ": a token in its tokenizer files is 5"),
        ({"added_tokens_decoder": {"3": {"id": 3}}}, ": a token in its tokenizer files is"),
        ({"added_tokens_decoder": [1]}, ": its tokenizer files are not laid out as transformers"),
        ({"tokenizer_class": "RobertaTokenizer"}, ": its tokenizer_class is RobertaTokenizer"),
        ({"tokenizer_class": "TokenizersBackend"}, ": has no tokenizer.json"),
        (
            {"added_tokens_decoder": {"3": {"content": "cat"}}},
            ": the added token 'cat' is said to have id 3; 6",
        ),
    ],
)
def test_a_configuration_that_cannot_be_followed_is_refused(folder, content, message):
    write(folder, "tokenizer_config.json", content)
    assert refusal(folder).startswith(message)


def test_the_class_may_be_in_the_models_configuration(folder):
    write(folder, "config.json", {"tokenizer_class": "BertJapaneseTokenizer"})
    message = refusal(folder)
    assert re.search("its tokenizer_class is BertJapaneseTokenizer; BertTokenizer or", message)


def test_a_part_may_be_missing_only_where_the_class_says_what_it_is(tmp_path, saved):
    write(tmp_path, "tokenizer.json", saved | {"normalizer": None})
    assert refusal(tmp_path).startswith("tokenizer.json: its normalizer is of kind None")
    write(tmp_path, "tokenizer_config.json", {"tokenizer_class": "BertTokenizer"})
    assert tokens(tmp_path, "The cat") == ["the", "cat"]
