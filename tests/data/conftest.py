"""What the tests of the shipped sets share is imported by plain names, as what made them is."""

import sys
from pathlib import Path

import numpy as np
import pytest

from minilora import BertModel, WordPieceTokenizer, kernels

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "data")]
pytest.register_assert_rewrite("tsv_sets")


@pytest.fixture(autouse=True, scope="module")
def reference_kernels():
    """Nothing here is about speed: no compiling."""
    before = kernels.active()
    kernels.use("reference")
    yield
    kernels.use(before)


@pytest.fixture(scope="session")
def teacher_dir(tmp_path_factory):
    """The folder of a small teacher. Not to be changed."""
    from small_teacher import write_teacher

    return write_teacher(tmp_path_factory.mktemp("teacher") / "teacher")


@pytest.fixture(scope="session")
def teacher(teacher_dir):
    return BertModel.from_pretrained(teacher_dir, add_pooling_layer=False)


@pytest.fixture(scope="session")
def teacher_tokenizer(teacher_dir):
    return WordPieceTokenizer.from_pretrained(teacher_dir)


@pytest.fixture(scope="session")
def school(teacher, teacher_tokenizer, tmp_path_factory):
    """A plan, texts, the student's tokenizer and its lessons. Not to be changed."""
    from small_teacher import School, some_texts

    texts = some_texts(80, np.random.default_rng(3))
    return School.of(teacher, teacher_tokenizer, texts, tmp_path_factory.mktemp("cache"))
