import pytest

from minilora.errors import CheckpointError
from minilora.storage import read_json, write_json


def refusal(path) -> str:
    with pytest.raises(CheckpointError) as caught:
        read_json(path, "the config")
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message


def test_what_was_written_is_read_again(tmp_path):
    content = {"b": 1, "a": [0.1, None, True, "größer"], "c": {"d": "日本"}}
    write_json(tmp_path / "x.json", content)
    again = read_json(tmp_path / "x.json", "the config")
    assert again == content
    assert list(again) == ["b", "a", "c"]


def test_a_number_that_json_cannot_say_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "x.json", {"loss": float("nan")})
    assert not list(tmp_path.iterdir())


def test_a_byte_order_mark_is_skipped(tmp_path):
    (tmp_path / "x.json").write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert read_json(tmp_path / "x.json", "the config") == {"a": 1}


def test_a_missing_file_is_named(tmp_path):
    assert "cannot read the config: No such file" in refusal(tmp_path / "x.json")


def test_a_directory_is_named(tmp_path):
    assert "Is a directory" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "x.json:1: the config is not JSON: Expecting value"),
        (b'{\n"a": 1,\n"b" 2}', "x.json:3: the config is not JSON: Expecting ':' delimiter"),
        (b"[1, 2]", "holds a JSON list; expected an object"),
        (b'{"a": "\xff"}', "not UTF-8 text at byte 7"),
        (b'{"a":' + b"[" * 100_000, "cannot be read as JSON"),
        (b'{"a": ' + b"9" * 10_000 + b"}", "cannot be read as JSON"),
    ],
    ids=["empty", "syntax", "list", "encoding", "nested", "number"],
)
def test_a_file_that_is_no_json_object_says_why(tmp_path, content, reason):
    (tmp_path / "x.json").write_bytes(content)
    assert reason in refusal(tmp_path / "x.json")
