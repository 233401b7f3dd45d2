"""What is free goes back to the system."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

WASTEFUL = """
import threading
from exporter import memory

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

def waste():
    # A burst that holds a huge value: it is read in many pieces, which become one block; something small stays behind.
    for _ in range(3):
        pieces = [bytes(b"x" * 65_536) for _ in range(128)]
        whole = b"".join(pieces)
        kept.append(bytes(30_000))
        del pieces, whole

memory.begin()
kept, before = [], resident()
thread = threading.Thread(target=lambda: (waste(), stay.wait()), daemon=True)
stay = threading.Event()
thread.start()
while len(kept) < 3:
    thread.join(0.01)
thread.join(0.1)
memory.tidy()
print(resident() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries give back by themselves")
def test_what_a_huge_value_needed_is_given_back() -> None:
    """Of 16 MB for a moment next to nothing is left, in whatever thread it was."""
    done = subprocess.run([sys.executable, "-c", WASTEFUL], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 2 << 20
