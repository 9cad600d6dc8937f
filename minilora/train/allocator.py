"""Memory that a step frees is kept for the next one, which wants the same again.

glibc's malloc hands large freed blocks back to the system, and the system hands them out again page
by page, each zeroed and with a fault of its own. A step frees all its activations, so it pays for
them anew every time. Counted on MiniLM, LoRA, two threads, minor faults a step: 1,700 at real
sentence lengths (batch 32) and 32,000 at 32 x 128 tokens (0.06 s of the system's time in 2.1 s);
3 and 4 with the settings below, for 10 MB more in memory. Either of them alone makes it worse
(15,000 and 82,000 at real lengths): glibc stops adapting both as soon as one is set.
"""

from __future__ import annotations

import ctypes
import os
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h
LARGEST = 32 << 20  # bytes: the most that glibc takes for M_MMAP_THRESHOLD on 64 bits
NEVER = 1 << 30  # bytes that may lie free at the end of the heap


def keep_freed_memory() -> bool:
    """Have malloc keep what is freed, for the rest of this process; whether that could be done.

    Only with glibc, and not where ``MALLOC_...`` variables or ``GLIBC_TUNABLES`` say what is
    wanted. The command line calls this; as it is a setting of the whole process, a program that
    uses minilora as a library has to call it itself, and best before it computes anything.
    """
    if sys.platform != "linux" or any(
        name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ
    ):
        return False
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "gnu_get_libc_version"):  # musl
        return False
    settings = {M_MMAP_THRESHOLD: LARGEST, M_TRIM_THRESHOLD: NEVER}
    return all(libc.mallopt(name, value) == 1 for name, value in settings.items())
