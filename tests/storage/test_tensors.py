"""Arrays survive the trip to a safetensors file; damaged files end in one line."""

import contextlib
import json
import math
import mmap

import hypothesis.extra.numpy as numpy_strategies
import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st

from minilora.errors import CheckpointError
from minilora.storage import (
    read_metadata,
    read_tensor,
    read_tensors,
    tensor_info,
    write_tensors,
)

DTYPES = [np.float64, np.float32, np.float16, np.int64, np.int32, np.int16, np.int8]
DTYPES += [np.uint64, np.uint32, np.uint16, np.uint8, np.bool_]

arrays = numpy_strategies.arrays(
    st.sampled_from(DTYPES), numpy_strategies.array_shapes(min_dims=0, min_side=0, max_side=4)
)


def raw_file(path, header, data=b"", *, length=None):
    """A safetensors file by hand, so that it can lie."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes((len(text) if length is None else length).to_bytes(8, "little") + text + data)
    return path


def tensor(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def refusal(path) -> str:
    with pytest.raises(CheckpointError) as caught:
        read_tensors(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message


@given(tensors=st.dictionaries(st.text(min_size=1, max_size=8), arrays, max_size=6))
def test_what_was_written_is_read_again_bit_for_bit(tmp_path_factory, tensors):
    tensors.pop("__metadata__", None)
    path = tmp_path_factory.mktemp("t") / "x.safetensors"
    write_tensors(path, tensors)
    again = read_tensors(path)
    assert again.keys() == tensors.keys()
    for name, array in tensors.items():
        assert again[name].dtype == array.dtype
        assert again[name].shape == array.shape
        assert again[name].tobytes() == array.tobytes()


@given(tensors=st.dictionaries(st.text("abc.", min_size=1, max_size=8), arrays, max_size=6))
def test_the_library_reads_the_same(tmp_path_factory, tensors):
    path = tmp_path_factory.mktemp("t") / "x.safetensors"
    write_tensors(path, tensors, metadata={"format": "pt"})
    again = safetensors.numpy.load_file(path)
    assert {n: a.tobytes() for n, a in again.items()} == {
        n: a.tobytes() for n, a in tensors.items()
    }


def test_the_bytes_are_those_the_library_writes(tmp_path, rng):
    tensors = {"c": rng.standard_normal((3, 2)), "b": np.arange(3), "a": np.ones(5, np.float16)}
    write_tensors(tmp_path / "x.safetensors", tensors, metadata={"format": "pt"})
    theirs = safetensors.numpy.save(tensors, metadata={"format": "pt"})
    assert (tmp_path / "x.safetensors").read_bytes() == theirs


def test_any_memory_layout_can_be_written(tmp_path, rng):
    x = rng.standard_normal((4, 6))
    write_tensors(tmp_path / "x.safetensors", {"t": x.T, "s": x[::2, ::3]})
    again = read_tensors(tmp_path / "x.safetensors")
    np.testing.assert_array_equal(again["t"], x.T)
    np.testing.assert_array_equal(again["s"], x[::2, ::3])


def test_metadata_is_read_again_and_does_not_depend_on_its_order(tmp_path):
    words = {f"key{i}": f"wört {i}" for i in range(20)}
    for name in ("a", "b"):
        write_tensors(tmp_path / f"{name}.safetensors", {"x": np.ones(2)}, metadata=words)
    assert read_metadata(tmp_path / "a.safetensors") == words
    one, two = ((tmp_path / f"{name}.safetensors").read_bytes() for name in ("a", "b"))
    assert one == two


def test_a_file_without_metadata_has_none(tmp_path):
    write_tensors(tmp_path / "x.safetensors", {"x": np.ones(2)})
    assert read_metadata(tmp_path / "x.safetensors") == {}


def test_tensor_info_says_what_is_there(tmp_path):
    write_tensors(tmp_path / "x.safetensors", {"x": np.ones((2, 3)), "i": np.ones(4, np.int8)})
    assert tensor_info(tmp_path / "x.safetensors") == {"x": ("F64", (2, 3)), "i": ("I8", (4,))}


def test_writing_to_an_array_changes_it_and_not_the_file(tmp_path):
    path = tmp_path / "x.safetensors"
    write_tensors(path, {"x": np.zeros(8)})
    before = path.read_bytes()
    array = read_tensors(path)["x"]
    array += 1
    assert array.sum() == 8
    assert path.read_bytes() == before
    assert read_tensors(path)["x"].sum() == 0


def test_an_array_outlives_the_replacement_of_its_file(tmp_path):
    path = tmp_path / "x.safetensors"
    write_tensors(path, {"x": np.full(10_000, 1.0)})
    array = read_tensors(path)["x"]
    write_tensors(path, {"x": array + 1})
    assert array.sum() == 10_000
    assert read_tensors(path)["x"].sum() == 20_000


def test_arrays_are_views_of_the_mapped_file(tmp_path):
    write_tensors(tmp_path / "x.safetensors", {"x": np.zeros(4), "y": np.zeros(2, np.float32)})
    for array in read_tensors(tmp_path / "x.safetensors", dtype=np.float64).values():
        owner = array
        while isinstance(owner, np.ndarray) and owner.base is not None:
            owner = owner.base
        assert isinstance(owner, mmap.mmap) == (array.size == 4)  # the other had to be converted


def test_floating_point_tensors_are_converted_on_request_and_integers_are_not(tmp_path):
    path = tmp_path / "x.safetensors"
    write_tensors(path, {"h": np.full(3, 0.1, np.float16), "i": np.arange(3)})
    tensors = read_tensors(path, dtype=np.float64)
    assert tensors["h"].dtype == np.float64
    assert tensors["h"][0] == float(np.float16(0.1))
    assert tensors["i"].dtype == np.int64


def test_a_number_too_large_for_the_dtype_becomes_infinite(tmp_path):
    write_tensors(tmp_path / "x.safetensors", {"x": np.array([1e300, -1e300, 1.0])})
    array = read_tensors(tmp_path / "x.safetensors", dtype=np.float32)["x"]
    assert array.tolist() == [math.inf, -math.inf, 1.0]


def test_bfloat16_is_decoded_exactly(tmp_path):
    values = [1.0, -2.5, 0.0, math.inf, 2.0**-133, 3.140625]  # each has at most 8 significant bits
    bits = np.array(values, np.float32).view(np.uint32) >> 16
    header = {"x": tensor("BF16", [6], 0, 12)}
    path = raw_file(tmp_path / "x.safetensors", header, bits.astype("<u2").tobytes())
    array = read_tensors(path)["x"]
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array, np.array(values, np.float32))


def test_a_tensor_at_an_odd_place_comes_out_aligned(tmp_path):
    header = {"i": tensor("U8", [1], 0, 1), "x": tensor("F64", [2], 1, 17)}
    data = b"\x07" + np.array([1.5, -2.0]).tobytes()
    tensors = read_tensors(raw_file(tmp_path / "x.safetensors", header, data))
    assert tensors["x"].flags.aligned
    assert tensors["x"].tolist() == [1.5, -2.0]
    assert tensors["i"].tolist() == [7]


A = tensor("F32", [2, 2], 0, 16)
DAMAGED = {
    "empty header": (b"", b"", 0, "invalid JSON in header"),
    "header longer than the file": ({"a": A}, bytes(16), 10**6, "invalid header length"),
    "header of a petabyte": ({"a": A}, bytes(16), 10**15, "header too large"),
    "header is no JSON": (b"{" * 40, b"", None, "invalid JSON in header"),
    "data cut short": ({"a": A}, bytes(11), None, "not fully covered"),
    "data too long": ({"a": A}, bytes(24), None, "not fully covered"),
    "tensors overlap": ({"a": A, "b": tensor("F32", [2], 8, 16)}, bytes(16), None, "offset"),
    "gap between tensors": ({"a": A, "b": tensor("F32", [1], 20, 24)}, bytes(24), None, "offset"),
    "place out of the file": ({"a": tensor("F32", [2, 2], 10**9, 10**9 + 16)}, bytes(16), None, ""),
    "shape against size": ({"a": tensor("F32", [3, 2], 0, 16)}, bytes(16), None, "invalid shape"),
    "dtype against size": ({"a": tensor("F64", [2, 2], 0, 16)}, bytes(16), None, "data type"),
    "negative shape": ({"a": tensor("F32", [-2, -2], 0, 16)}, bytes(16), None, "invalid value"),
    "shape beyond counting": ({"a": tensor("F32", [2**62, 8], 0, 16)}, bytes(16), None, "overflow"),
    "unknown dtype": ({"a": tensor("F99", [2, 2], 0, 16)}, bytes(16), None, "unknown variant"),
    "dtype NumPy has not": ({"a": tensor("F8_E4M3", [4], 0, 4)}, bytes(4), None, "dtype F8_E4M3"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_file_is_refused_in_one_line(tmp_path, case):
    header, data, length, reason = DAMAGED[case]
    assert reason in refusal(raw_file(tmp_path / "x.safetensors", header, data, length=length))


@pytest.mark.parametrize("content", [b"", b"12345"])
def test_a_file_too_short_for_a_header_is_refused(tmp_path, content):
    (tmp_path / "x.safetensors").write_bytes(content)
    assert "header too small; copy or download it again" in refusal(tmp_path / "x.safetensors")


@given(cut=st.integers(0, 200), flip=st.integers(0, 2000))
def test_whatever_the_damage_it_is_refused_or_harmless(tmp_path_factory, cut, flip):
    path = tmp_path_factory.mktemp("t") / "x.safetensors"
    write_tensors(path, {"a": np.ones((3, 4)), "b": np.ones(2, np.int8)}, metadata={"k": "v"})
    content = bytearray(path.read_bytes())
    content[flip // 8 % len(content)] ^= 1 << flip % 8
    path.write_bytes(content[: len(content) - cut])
    with contextlib.suppress(CheckpointError):  # any other error, or a crash, fails the test
        read_tensors(path)


def test_a_missing_file_and_a_directory_are_named(tmp_path):
    assert "No such file" in refusal(tmp_path / "x.safetensors")
    assert "it is a directory" in refusal(tmp_path)


@pytest.mark.parametrize("suffix", [".bin", ".pt", ".pth", ".ckpt", ".npz"])
def test_a_pickle_is_refused_with_the_reason_and_the_way_out(tmp_path, suffix):
    (tmp_path / f"model{suffix}").write_bytes(b"\x80\x02.")
    message = refusal(tmp_path / f"model{suffix}")
    assert "unpickling one runs whatever code is in it" in message
    assert "save_pretrained" in message


def test_a_git_lfs_pointer_is_recognised(tmp_path):
    (tmp_path / "x.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid ...")
    assert "git lfs pull" in refusal(tmp_path / "x.safetensors")


@pytest.mark.parametrize("name", ["a", "empty", "b"])
def test_a_single_tensor_is_the_one_among_all(tmp_path, name):
    tensors = {"a": np.arange(6.0).reshape(2, 3), "empty": np.ones((0, 2)), "b": np.arange(3)}
    write_tensors(tmp_path / "x.safetensors", tensors)
    np.testing.assert_array_equal(read_tensor(tmp_path / "x.safetensors", name), tensors[name])


def test_a_single_tensor_that_is_not_there_is_named(tmp_path):
    write_tensors(tmp_path / "x.safetensors", {"weight": np.ones(2)})
    with pytest.raises(CheckpointError, match=r"no tensor 'wieght'.*Did you mean 'weight'"):
        read_tensor(tmp_path / "x.safetensors", "wieght")
