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
    # A large block that was freed makes the library keep blocks of that size; what is behind them keeps them in place.
    for _ in range(3):
        large = [bytes(9 << 20) for _ in range(2)]
        kept.append(bytes(100_000))
        del large

kept = []
thread = threading.Thread(target=waste)
thread.start()
thread.join()
before = resident()
memory.tidy()
print(before - resident())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have no such call")
def test_what_a_huge_value_needed_is_given_back() -> None:
    """18 MB were freed and are kept by the C library: tidying gives back at least half of them."""
    done = subprocess.run([sys.executable, "-c", WASTEFUL], capture_output=True, text=True, check=True)
    assert int(done.stdout) >= 9 << 20
