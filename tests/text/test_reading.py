import hashlib
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minilora.errors import ConfigError, DataError
from minilora.text import Example, Sentence, label_names, read_corpus


def corpus(tmp_path, name, content, *, labelled=True):
    """Read a file with this content as the task that fits its rows."""
    raw = content if isinstance(content, bytes) else content.encode()
    (tmp_path / name).write_bytes(raw)
    task = "ner" if name.endswith((".conll", ".txt", ".bio")) or b'"words"' in raw else "classify"
    return read_corpus(tmp_path / name, task, labelled=labelled)


GOOD = 'It\'s "good", really'
NO = '{"text": "a", "label": "no"}'
TWO = [
    Sentence(["John", "Doe", "ran"], ["B-PER", "I-PER", "O"], 1),
    Sentence(["Oslo"], ["B-LOC"], 5),
]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("separator", ["\t", " ", "  ", " \t "])
@pytest.mark.parametrize("last", ["", "\n", "\n\n\n"])
def test_columns_are_words_and_tags(tmp_path, separator, end, last):
    rows = ["John B-PER", "Doe I-PER", "ran O", "", "Oslo B-LOC"]
    text = "\n".join(rows).replace(" ", separator) + last
    assert corpus(tmp_path, "x.conll", text.replace("\n", end)).rows == TWO


def test_the_last_column_is_the_tag(tmp_path):
    read = corpus(tmp_path, "x.txt", "John NNP I-NP I-PER\nran VBD I-VP O\n")
    assert read.rows == [Sentence(["John", "ran"], ["B-PER", "O"], 1)]


def test_a_byte_order_mark_is_not_part_of_the_first_word(tmp_path):
    assert corpus(tmp_path, "x.bio", b"\xef\xbb\xbfJohn\tO\n").rows[0].words == ["John"]


def test_words_may_be_spaces_of_other_scripts_and_hold_spaces(tmp_path):
    read = corpus(tmp_path, "x.conll", "\u3000\tO\nNew York\tB-LOC\n\u00a0\tO\n")
    assert read.rows[0].words == ["\u3000", "New York", "\u00a0"]


def test_docstart_lines_are_left_out_and_end_a_sentence(tmp_path):
    read = corpus(tmp_path, "x.conll", "-DOCSTART- -X- O\n\na O\n-DOCSTART- O\nb O\n")
    assert read.rows == [Sentence(["a"], ["O"], 3), Sentence(["b"], ["O"], 5)]


def test_comments_are_left_out_but_words_that_look_like_them_are_not(tmp_path):
    text = "# text = a b\n# id\na\tO\n#\tO\n\n#\tO\n#b\tB-X\n"
    rows = corpus(tmp_path, "x.conll", text).rows
    assert rows == [Sentence(["a", "#"], ["O", "O"], 3), Sentence(["#", "#b"], ["O", "B-X"], 6)]


def test_a_file_of_comments_before_spaced_columns(tmp_path):
    (row,) = corpus(tmp_path, "x.conll", "# text\n# a b c\n\na O\n").rows
    assert row == Sentence(["a"], ["O"], 4)


def test_tags_of_another_scheme_become_bio_and_it_is_noted(tmp_path):
    read = corpus(tmp_path, "x.conll", "John S-PER\nran O\n")
    assert read.rows[0].tags == ["B-PER", "O"]
    assert read.notes == ["tags are BIOES; they were turned into BIO"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.tsv", 'label\ttext\nyes\tIt\'s "good", really\n\nno\ta\n'),
        ("x.tsv", 'text\tlabel\nIt\'s "good", really\tyes\n\na\tno \n'),
        ("x.tsv", 'id\ttext\tlabel\r\n1\tIt\'s "good", really\tyes\r\n\r\n2\ta\tno\r\n'),
        ("x.csv", 'label,text\nyes,"It\'s ""good"", really"\n\nno,a\n'),
        ("x.CSV", '"text","label"\r\n"It\'s ""good"", really",yes\r\n\r\na,no\r\n'),
        ("x.jsonl", f'{{"label": "yes", "text": {json.dumps(GOOD)}}}\n\n{NO}'),
    ],
)
def test_tables_and_json_lines_hold_examples(tmp_path, name, content):
    rows = corpus(tmp_path, name, content).rows
    start = 1 if name == "x.jsonl" else 2
    assert rows == [
        Example(GOOD, None, "yes", start),
        Example("a", None, "no", start + 2),
    ]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.tsv", "text_b\tlabel\ttext_a\nb c\tyes\ta\n"),
        ("x.csv", "text_b,label,text_a\nb c,yes,a\n"),
        ("x.jsonl", '{"text_b": "b c", "label": "yes", "text_a": "a"}'),
    ],
)
def test_examples_may_be_pairs(tmp_path, name, content):
    (row,) = corpus(tmp_path, name, content).rows
    assert (row.text, row.text_pair, row.label) == ("a", "b c", "yes")


def test_a_text_of_csv_may_be_as_long_as_it_likes(tmp_path):
    (row,) = corpus(tmp_path, "x.csv", "label,text\nyes," + "a " * 100_000).rows
    assert len(row.text.split()) == 100_000


def test_a_field_of_csv_may_hold_lines_and_rows_know_where_they_start(tmp_path):
    rows = corpus(tmp_path, "x.csv", 'text,label\n"a\nb",x\nc,y\n').rows
    assert rows == [Example("a\nb", None, "x", 2), Example("c", None, "y", 4)]


def test_a_label_in_json_may_be_a_number(tmp_path):
    assert corpus(tmp_path, "x.jsonl", '{"text": "a", "label": 1}').rows[0].label == "1"


def test_json_lines_hold_sentences(tmp_path):
    line = json.dumps({"words": ["John", "ran"], "tags": ["I-PER", "O"], "id": 7})
    assert corpus(tmp_path, "x.jsonl", f"\n{line}\n").rows == [
        Sentence(["John", "ran"], ["B-PER", "O"], 2)
    ]


@pytest.mark.parametrize(
    ("name", "content", "row"),
    [
        ("x.conll", "John\nran\n", Sentence(["John", "ran"], [], 1)),
        ("x.conll", "John B-PER\nran whatever\n", Sentence(["John", "ran"], [], 1)),
        ("x.jsonl", '{"words": ["John", "ran"]}', Sentence(["John", "ran"], [], 1)),
        ("x.tsv", "text\na\n", Example("a", None, "", 2)),
        ("x.csv", "label,text\nyes,a\n", Example("a", None, "", 2)),
        ("x.jsonl", '{"text_a": "a", "text_b": "b"}', Example("a", "b", "", 1)),
    ],
)
def test_files_without_labels_are_read_when_none_are_needed(tmp_path, name, content, row):
    read = corpus(tmp_path, name, content, labelled=False)
    assert read.rows == [row]
    assert not read.labelled


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.tsv", "label\ttext\nyes\tAnna left\n"),
        ("x.tsv", "\n text \nAnna left\n"),
        ("x.csv", 'label,text\nO,"Anna left"\n'),
        ("x.jsonl", '\n{"text": "Anna left"}\n'),
    ],
)
def test_names_may_be_looked_for_in_whole_texts(tmp_path, name, content):
    (tmp_path / name).write_text(content, encoding="utf-8")
    read = read_corpus(tmp_path / name, "ner", labelled=False)
    assert read.task == "classify"
    assert [row.text for row in read.rows] == ["Anna left"]


@pytest.mark.parametrize("labelled", [True, False])
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.tsv", "text\tO\nAnna\tB-PER\n"),
        ("x.tsv", "Anna\tB-PER\ntext\tO\n"),
        ("x.jsonl", '{"text": "Anna", "words": ["Anna"], "tags": ["B-PER"]}'),
    ],
)
def test_words_and_tags_are_not_taken_for_texts(tmp_path, name, content, labelled):
    (tmp_path / name).write_text(content, encoding="utf-8")
    read = read_corpus(tmp_path / name, "ner", labelled=labelled)
    assert read.task == "ner"
    assert "Anna" in read.rows[0].words


@given(
    st.lists(st.sampled_from(["label", "text", "id", " text", "O"]), min_size=1, max_size=4),
    st.sampled_from([(".tsv", "\t"), (".csv", ",")]),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_header_with_a_text_makes_it_texts_wherever_it_stands(tmp_path, header, form):
    ending, separator = form
    names = [name.strip() for name in header]
    path = tmp_path / f"x{ending}"
    path.write_text("\n".join(separator.join(row) for row in (header, ["a"] * len(header))))
    if names.count("text") == 1 and not (ending == ".tsv" and names[-1] == "O"):
        assert read_corpus(path, "ner", labelled=False).rows == [Example("a", None, "", 2)]
        with pytest.raises(DataError, match="looks like a table of labelled texts"):
            read_corpus(path, "ner")


def test_a_corpus_says_what_identifies_its_file(tmp_path):
    read = corpus(tmp_path, "x.conll", "a O\n")
    assert (read.path, read.task, read.n_bytes) == (tmp_path / "x.conll", "ner", 4)
    assert read.sha256 == hashlib.sha256(b"a O\n").hexdigest()
    assert len(read) == 1


def test_label_names_of_sentences_are_o_and_both_tags_of_every_type(tmp_path):
    read = corpus(tmp_path, "x.conll", "a I-Z\nb O\nc B-A\n")
    assert label_names(read) == ["O", "B-A", "I-A", "B-Z", "I-Z"]


def test_label_names_of_examples_are_in_order(tmp_path):
    read = corpus(tmp_path, "x.tsv", "label\ttext\nz\ta\na\tb\nz\tc\n")
    assert label_names(read) == ["a", "z"]


def test_an_unknown_task_is_refused_with_a_suggestion(tmp_path):
    with pytest.raises(ConfigError, match=r"task: 'clasify' is none\. Did you mean 'classify'"):
        read_corpus(tmp_path / "x.tsv", "clasify")


@pytest.mark.parametrize("name", ["wikigold", "uner_zh_gsdsimp"])
def test_the_shared_sentences_are_read_whole(shared_data, name):
    sizes = {"wikigold": (1168, 26_133), "uner_zh_gsdsimp": (3997, 98_616)}
    read = read_corpus(shared_data / name / "train.conll", "ner")
    assert (len(read), sum(len(row.words) for row in read.rows)) == sizes[name]
    assert read.notes == []


@pytest.mark.parametrize(("name", "size"), [("snips", 12_867), ("sentence_polarity", 8530)])
def test_the_shared_examples_are_read_whole(shared_data, name, size):
    assert len(read_corpus(shared_data / name / "train.tsv", "classify")) == size
