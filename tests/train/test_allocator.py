import os
import subprocess
import sys

import pytest

from minilora.train import allocator

FAULTS = """
import resource, sys
import numpy as np
from minilora.train.allocator import keep_freed_memory

print(keep_freed_memory() if sys.argv[1] == "keep" else None)
def step():
    return [np.ones(1 << 19) for _ in range(8)]  # 8 x 4 MB, freed together
for _ in range(3):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    step()
print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) // 5)
"""


def is_glibc():
    try:
        return bool(os.confstr("CS_GNU_LIBC_VERSION"))
    except (AttributeError, ValueError, OSError):
        return False


def ask(word, **variables):
    """What `keep_freed_memory` returned in a process of its own, and its faults a step."""
    own = {name: v for name, v in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    done = subprocess.run(
        [sys.executable, "-c", FAULTS, word],
        env={**own, **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    returned, faults = done.stdout.split()
    return returned, int(faults)


@pytest.mark.skipif(not is_glibc(), reason="this system's malloc is not glibc's")
def test_what_was_freed_is_there_without_a_fault():
    assert ask("leave")[1] > 1000  # pages of 4 kB
    returned, faults = ask("keep")
    assert returned == "True"
    assert faults < 20


@pytest.mark.skipif(not is_glibc(), reason="this system's malloc is not glibc's")
def test_what_the_environment_says_is_left_alone():
    assert ask("keep", MALLOC_TRIM_THRESHOLD_="131072")[0] == "False"


def test_other_systems_are_left_alone(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not allocator.keep_freed_memory()
