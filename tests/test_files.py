import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minilora.errors import CheckpointError, DataError
from minilora.files import decode, decode_lines, read_bytes, read_json


def refusal(path) -> str:
    with pytest.raises(CheckpointError) as caught:
        read_json(path, "the config")
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message


def test_a_byte_order_mark_is_skipped(tmp_path):
    (tmp_path / "x.json").write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert read_json(tmp_path / "x.json", "the config") == {"a": 1}


def test_the_caller_says_what_kind_of_error_it_is(tmp_path):
    with pytest.raises(DataError, match="texts was expected"):
        read_bytes(tmp_path / "x.txt", "a file of texts", error=DataError)


def test_a_missing_file_is_named_with_what_it_was_to_be(tmp_path):
    assert refusal(tmp_path / "x.json").endswith(
        "x.json: there is no such file; the config was expected. Check the path."
    )


def test_a_missing_file_is_named_with_one_of_a_like_name(tmp_path):
    (tmp_path / "config.json").touch()
    assert "Did you mean 'config.json'?" in refusal(tmp_path / "cnofig.json")


def test_a_missing_folder_is_named(tmp_path):
    assert f"The folder {tmp_path / 'no'} does not exist" in refusal(tmp_path / "no" / "x.json")


def test_a_directory_is_named(tmp_path):
    assert "is a folder; the config was expected" in refusal(tmp_path)


def test_a_file_that_cannot_be_read_says_why(tmp_path):
    (tmp_path / "x.json").symlink_to(tmp_path / "x.json")
    assert "cannot be read (Too many levels" in refusal(tmp_path / "x.json")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "x.json:1: the config is not JSON: Expecting value at column 1"),
        (b'{\n"a": 1,\n"b" 2}', "x.json:3: the config is not JSON: Expecting ':' delimiter"),
        (b"[1, 2]", "x.json: the config holds a JSON list; an object"),
        (b'{"a":\n "\xff"}', "x.json:2: byte 0xff at offset 8 is not UTF-8"),
        ("{}".encode("utf-16"), "x.json: starts like UTF-16"),
        (b'{"a":\n "\0"}', "x.json:2: holds a NUL byte"),
        (b'{"a":' + b"[" * 100_000, "x.json: the config cannot be read as JSON"),
        (b'{"a": ' + b"9" * 10_000 + b"}", "x.json: the config cannot be read as JSON"),
    ],
    ids=["empty", "syntax", "list", "encoding", "UTF-16", "NUL", "nested", "number"],
)
def test_a_file_that_is_no_json_object_says_why(tmp_path, content, reason):
    (tmp_path / "x.json").write_bytes(content)
    assert reason in refusal(tmp_path / "x.json")


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\n"))))
def test_lines_are_decoded_as_the_whole_is(lines):
    raw = "\ufeff".encode() + "\n".join(lines).encode()
    decoded = "".join(decode_lines(io.BytesIO(raw), Path("x"), error=DataError))
    assert decoded == decode(raw, Path("x"), error=DataError)


def test_a_bad_line_is_named_by_its_place_in_the_file():
    with pytest.raises(DataError, match="x:3: byte 0xff at offset 4 is not UTF-8"):
        list(decode_lines([b"a\n", b"b\n", b"\xff\xfe\n"], Path("x"), error=DataError))
    with pytest.raises(DataError, match="x:2: holds a NUL byte"):
        list(decode_lines([b"a\n", b"b\0\n"], Path("x"), error=DataError))
