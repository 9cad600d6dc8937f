import pytest

from minilora.files import read_json
from minilora.storage import write_json


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
