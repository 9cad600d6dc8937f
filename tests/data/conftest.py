"""What the tests of the shipped sets share is imported by plain names."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
pytest.register_assert_rewrite("tsv_sets")
