"""Everything that can be wrong with a data file gives one line that names file and line."""

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minilora.errors import DataError
from minilora.text import read_corpus
from minilora.text.reading import SUFFIXES

NER = [
    ("x.conll", b"", "x.conll: is empty; one or more were expected"),
    ("x.conll", b" \n\n", "x.conll: is empty"),
    ("x.conll", b"-DOCSTART- O\n", "x.conll: has no rows"),
    ("x.conll", b"a O\nb\n", "x.conll:2: has 1 column, 'b'; 2 with spaces between were expected"),
    ("x.conll", b"a\tO\nb c O\n", "x.conll:2: has 1 column, 'b c O'; 2 with tabs between"),
    ("x.conll", b"a\tO\n\nb\tc\tO\n", "x.conll:3: has 3 columns, 'b c O'; 2 with tabs"),
    ("x.conll", b"a\nb\n", "x.conll:1: has one column, 'a'; a word and its tag"),
    ("x.conll", b"word tag\na O\n", "x.conll:1: the tag is 'tag'; 'O' was expected, or a type"),
    ("x.conll", b"a O\nb PER\n", "x.conll:2: the tag is 'PER'"),
    ("x.conll", b"a O\nb b-PER\n", "x.conll:2: the tag is 'b-PER'"),
    (
        "x.conll",
        b"a O\n\nb 0\n",
        "x.conll:3: the tag is '0'; 'O' was expected, or a type",
    ),
    ("x.conll", b"a\tO\nb\t\n", "x.conll:2: the tag is ''"),
    ("x.conll", b"a\tO\n\tO\n", "x.conll:2: has no word before its tag"),
    ("x.conll", b"a O\n# b c\n", "x.conll:2: has 3 columns"),
    ("x.conll", b"a O\nb\xe9 O\n", "x.conll:2: byte 0xe9 at offset 5 is not UTF-8"),
    ("x.conll", b"\xef\xbb\xbfa\xe9 O\n", "x.conll:1: byte 0xe9 at offset 4 is not UTF-8"),
    ("x.conll", "a O\n".encode("utf-16"), "x.conll: starts like UTF-16; UTF-8 was expected"),
    ("x.conll", b"a O\nb\0 O\n", "x.conll:2: holds a NUL byte"),
    ("x.parquet", b"PAR1", "x.parquet: ends in '.parquet'; one of .conll, .bio"),
    ("x", b"a O\n", "x: ends in ''; one of .conll"),
    (
        "x.jsonl",
        b'{"words": ["a"]}',
        "x.jsonl:1: the object has no 'tags'; the names",
    ),
    (
        "x.jsonl",
        b'{"word": ["a"], "tags": ["O"]}',
        "x.jsonl:1: the object has no 'words'",
    ),
    ("x.jsonl", b'\n{"words": ["a"], "tags": []}', "x.jsonl:2: has 1 word and 0 tags; one word"),
    ("x.jsonl", b'{"words": [], "tags": []}', "x.jsonl:1: has 0 words and 0 tags"),
    ("x.jsonl", b'{"words": "a", "tags": ["O"]}', "x.jsonl:1: words is 'a'; a list of strings"),
    ("x.jsonl", b'{"words": [1], "tags": ["O"]}', "x.jsonl:1: an entry of words is 1; a string"),
    ("x.jsonl", b'{"words": [" "], "tags": ["O"]}', "x.jsonl:1: a word is blank"),
    ("x.jsonl", b'{"words": ["a"], "tags": ["Q"]}', "x.jsonl:1: the tag is 'Q'"),
    (
        "x.tsv",
        b"label\ttext\nyes\ta b\n",
        "x.tsv: looks like a table of labelled texts (label, text); for the task ner CoNLL columns "
        "(token<TAB>tag) were expected. Give such a file or, if whole texts have labels, --task "
        "classify.",
    ),
    ("x.tsv", b"text_a\ttext_b\tlabel\na\tb\tyes\n", "x.tsv: looks like a table of labelled"),
    ("x.csv", b"text,label\na b,yes\n", "x.csv: looks like a table of labelled texts"),
    ("x.jsonl", b'{"text": "a", "label": "b"}', "x.jsonl: looks like a table of labelled texts"),
    ("x.jsonl", b'{"text": "a", "\\n": 1}', "x.jsonl: looks like a table of labelled texts (text"),
    ("x.csv", b"a,O\n", "x.csv: ends in '.csv'; one of .conll"),
]
CLASSIFY = [
    ("x.tsv", b"", "x.tsv: is empty"),
    ("x.tsv", b"label\ttext\n", "x.tsv: has no rows"),
    (
        "x.tsv",
        b"yes\tgood\n",
        "x.tsv:1: the header has no 'label'; the names",
    ),
    ("x.tsv", b"lable\ttext\n", "Did you mean 'lable'? Choices: lable, text."),
    ("x.tsv", b"label\tsentence\n", "x.tsv:1: the header has no 'text'"),
    (
        "x.tsv",
        b"label\ttext_a\n",
        "has no 'text_b'; the names expected are label and text_a",
    ),
    ("x.tsv", b"label\ttext\nyes\n", "x.tsv:2: has 1 column; 2, as in the header, were expected"),
    ("x.tsv", b"label\ttext\nyes\ta\tb\n", "x.tsv:2: has 3 columns; 2, as in the header"),
    ("x.tsv", b"label\ttext\nyes\t \n", "x.tsv:2: text is blank"),
    ("x.tsv", b"label\ttext\nyes\ta\n\tb\n", "x.tsv:3: label is blank"),
    ("x.tsv", b"label\ttext\nyes\t\xff\n", "x.tsv:2: byte 0xff at offset 15 is not UTF-8"),
    ("x.csv", b"label;text\nyes;a\n", "x.csv:1: the header has no 'label'"),
    ("x.csv", b'label,text\nyes,"a\n', "x.csv:2: is not CSV (unexpected end of data)"),
    ("x.csv", b'label,text\nyes,a\nno,"a"b\n', "x.csv:3: is not CSV"),
    ("x.csv", b'text,label\n"a\nb",x\nc\n', "x.csv:4: has 1 column"),
    ("x.csv", b"label,text,text\nyes,a,b\n", "x.csv:1: the header names text 2 times; once was"),
    ("x.jsonl", b"{'text': 1}", "x.jsonl:1: is not JSON (Expecting property name"),
    ("x.jsonl", b'{"text": "a", "label": "b"}\n{"text"', "x.jsonl:2: is not JSON"),
    ("x.jsonl", b'[{"text": "a"}]', "x.jsonl:1: holds a JSON list; an object was expected"),
    ("x.jsonl", b'{"id": ' + b"9" * 10_000 + b"}", "x.jsonl:1: is not JSON (Exceeds the limit"),
    ("x.jsonl", b"[" * 100_000, "x.jsonl:1: is not JSON (maximum recursion depth"),
    (
        "x.jsonl",
        b'{"text": "a"}',
        "x.jsonl:1: the object has no 'label'; the names expected are label and text",
    ),
    ("x.jsonl", b'{"text": 1, "label": "b"}', "x.jsonl:1: text is 1; a string was expected"),
    ("x.jsonl", b'{"text": "a", "label": true}', "x.jsonl:1: label is True; a string"),
    ("x.jsonl", b'{"text": "\\ud83d", "label": "b"}', "x.jsonl:1: text holds half of a surrogate"),
    ("x.conll", b"a O\n", "x.conll: ends in '.conll'; one of .tsv, .csv, .jsonl was expected"),
]


CASES = [("ner", *case) for case in NER] + [("classify", *case) for case in CLASSIFY]


@pytest.mark.parametrize(
    ("task", "name", "content", "message"), CASES, ids=[message for *_, message in CASES]
)
def test_a_bad_file_is_named_in_one_line(tmp_path, task, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as refused:
        read_corpus(tmp_path / name, task)
    said = str(refused.value)
    assert message in said
    assert said.startswith(str(tmp_path / name) + ":")
    assert "expected" in said
    assert "\n" not in said


def test_a_missing_file_is_named_with_one_that_is_there(tmp_path):
    (tmp_path / "train.conll").write_text("a O\n")
    with pytest.raises(
        DataError,
        match=r"trian.conll: there is no such file;.* Did you mean 'train",
    ):
        read_corpus(tmp_path / "trian.conll", "ner")


def test_a_missing_file_without_a_like_is_just_missing(tmp_path):
    with pytest.raises(DataError, match=r"a data file was expected. Check the path.$"):
        read_corpus(tmp_path / "train.conll", "ner")


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(DataError, match=r"no such file;.* The folder .*data does not exist either"):
        read_corpus(tmp_path / "data" / "train.conll", "ner")


def test_a_folder_is_not_a_file(tmp_path):
    (tmp_path / "x.conll").mkdir()
    with pytest.raises(DataError, match=r"x.conll: is a folder; a data file was expected"):
        read_corpus(tmp_path / "x.conll", "ner")


def test_a_file_that_cannot_be_read_says_why(tmp_path):
    (tmp_path / "x.conll").symlink_to(tmp_path / "x.conll")
    with pytest.raises(DataError, match=r"x.conll: cannot be read \(Too many levels"):
        read_corpus(tmp_path / "x.conll", "ner")


LINES = st.lists(
    st.text("aO\tB-X ,\"'#\r\n\u2028\u0085", max_size=8)
    | st.sampled_from(["label\ttext", "text,label", '{"text": "a", "label": "b"}', "a\tB-X", "a O"])
    | st.sampled_from(['{"words": ["a"], "tags": ["O"]}', '"a\nb",c', "-DOCSTART- O", "# c"]),
    max_size=6,
)


KINDS = [(task, suffix) for task, suffixes in SUFFIXES.items() for suffix in suffixes]


@given(LINES.map("\n".join).map(str.encode) | st.binary(max_size=30), st.booleans())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_whatever_a_file_holds_there_are_rows_or_one_line(tmp_path, content, labelled):
    for task, suffix in KINDS:
        path = tmp_path / f"x{suffix}"
        path.write_bytes(content)
        message = ""
        try:
            assert len(read_corpus(path, task, labelled=labelled))
        except DataError as refused:
            message = str(refused)
        assert not re.search("[\r\n]", message)
