import weakref

import numpy as np
import pytest

from minilora.errors import CheckpointError
from minilora.storage import open_checkpoint, read_checkpoint, write_json, write_tensors

INDEX = "model.safetensors.index.json"


@pytest.fixture
def sharded(tmp_path):
    write_tensors(tmp_path / "model-1.safetensors", {"a": np.ones(2), "b": np.ones(3)})
    write_tensors(tmp_path / "model-2.safetensors", {"c": np.full((2, 2), 5.0)})
    return tmp_path


def write_index(folder, weight_map):
    write_json(folder / INDEX, {"metadata": {}, "weight_map": weight_map})


def refusal(folder) -> str:
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(folder)
    message = str(caught.value)
    assert message.startswith(str(folder))
    assert "\n" not in message
    return message


def test_one_file_is_read(tmp_path):
    write_tensors(tmp_path / "model.safetensors", {"a": np.ones(2)})
    assert read_checkpoint(tmp_path)["a"].tolist() == [1, 1]


def test_shards_are_read_as_one(sharded):
    first, second = "model-1.safetensors", "model-2.safetensors"
    write_index(sharded, {"a": first, "c": second, "b": first})
    tensors = read_checkpoint(sharded, dtype=np.float32)
    assert list(tensors) == ["a", "c", "b"]
    assert tensors["c"].sum() == 20
    assert tensors["c"].dtype == np.float32


def test_an_index_that_does_not_fit_its_files_is_refused_tensor_by_tensor(sharded):
    first, second = "model-1.safetensors", "model-2.safetensors"
    write_index(sharded, {"a": first, "b": first, "c": first})
    assert "not in the file it names: c; in a file but not listed: none;" in refusal(sharded)
    write_index(sharded, {"a": first, "b": first, "c": second, "d": second})
    assert "not in the file it names: d; in a file but not listed: none;" in refusal(sharded)
    write_index(sharded, {"a": first, "c": second})
    assert "not in the file it names: none; in a file but not listed: b;" in refusal(sharded)


def test_a_missing_shard_is_named(sharded):
    write_index(sharded, {"a": "model-3.safetensors"})
    assert "model-3.safetensors: cannot be read: No such file" in refusal(sharded)


@pytest.mark.parametrize(
    "weight_map", [None, ["a"], {"a": 1}, {"a": "../model.safetensors"}, {"a": "model.bin"}]
)
def test_an_index_that_leads_elsewhere_is_refused(sharded, weight_map):
    write_index(sharded, weight_map)
    assert "weight_map must give a .safetensors file in this folder" in refusal(sharded)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "pytorch_model.bin.index.json"])
def test_pickled_weights_are_refused_with_the_reason_and_the_way_out(tmp_path, name):
    (tmp_path / name).write_bytes(b"\x80\x02.")
    message = refusal(tmp_path)
    assert "unpickling runs whatever code is in the file" in message
    assert "save_pretrained" in message


def test_a_folder_without_weights_says_what_was_expected(tmp_path):
    assert "expected model.safetensors or" in refusal(tmp_path)


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "x").touch()
    assert "not a folder" in refusal(tmp_path / "x")
    assert "not a folder" in refusal(tmp_path / "nowhere")


def test_an_opened_checkpoint_is_the_one_that_is_read(sharded):
    write_index(
        sharded,
        {"a": "model-1.safetensors", "c": "model-2.safetensors", "b": "model-1.safetensors"},
    )
    lazy, whole = open_checkpoint(sharded), read_checkpoint(sharded)
    assert list(lazy) == list(whole)
    assert len(lazy) == 3
    for name, array in whole.items():
        np.testing.assert_array_equal(lazy[name], array)
    assert "a" in lazy
    assert "d" not in lazy


def test_an_opened_checkpoint_keeps_nothing(tmp_path):
    write_tensors(tmp_path / "model.safetensors", {"a": np.ones(4)})
    lazy = open_checkpoint(tmp_path)
    kept = weakref.ref(lazy["a"])
    assert kept() is None
