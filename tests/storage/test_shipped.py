"""Where data and encoder are found; tests/test_wheel.py does the same with a wheel."""

import pytest

from minilora.errors import CheckpointError, DataError
from minilora.storage import shipped, shipped_folder


@pytest.fixture
def places(monkeypatch, tmp_path):
    """Two empty folders to look in, instead of the real ones."""
    folders = tmp_path / "package", tmp_path / "top"
    for folder in folders:
        folder.mkdir()
    monkeypatch.setattr(shipped, "PLACES", folders)
    return folders


def test_the_checkout_has_its_data_at_the_top():
    folder = shipped_folder("ner", error=DataError)
    assert folder.parent.parent == shipped.PLACES[1].parent
    assert (folder / "train.conll").is_file()


@pytest.mark.parametrize("which", [0, 1])
def test_a_folder_is_found_in_either_place(places, which):
    (places[which] / "ner").mkdir()
    assert shipped_folder("ner", error=DataError) == places[which] / "ner"


def test_what_a_wheel_brought_comes_first(places):
    for place in places:
        (place / "ner").mkdir()
    assert shipped_folder("ner", error=DataError) == places[0] / "ner"


def test_a_file_of_that_name_is_no_folder(places):
    (places[0] / "ner").write_text("")
    with pytest.raises(DataError):
        shipped_folder("ner", error=DataError)


def test_what_is_missing_is_named_with_the_places_and_a_way_out(places):
    with pytest.raises(CheckpointError) as raised:
        shipped_folder("tiny_bert", error=CheckpointError)
    said = str(raised.value)
    assert said.startswith("tiny_bert: ")
    for value in (*map(str, places), "install minilora again"):
        assert value in said
    assert "\n" not in said
