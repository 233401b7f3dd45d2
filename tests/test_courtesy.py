"""Who gives way keeps to what nobody else needs: no weight, no cores of others, no slice that others wait for."""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from exporter.courtesy import NICE, SLICE_NS, give_way

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere threads have no niceness of their own")
SCHED_GETATTR = {"x86_64": 315, "aarch64": 275}.get(platform.machine())
SINCE = (6, 12)


@dataclass(frozen=True)
class Manners:
    """How the kernel schedules the thread that asks."""

    policy: int
    nice: int

    @classmethod
    def ours(cls) -> Manners:
        """Those of this thread."""
        thread = threading.get_native_id()
        return cls(os.sched_getscheduler(thread), os.getpriority(os.PRIO_PROCESS, thread))


def while_giving_way(look: Callable[[], Any]) -> list[Any]:
    """What `look` finds in a thread that gives way, and in one that it starts."""
    found = []

    def work() -> None:
        give_way()
        found.append(look())
        child = threading.Thread(target=lambda: found.append(look()))
        child.start()
        child.join()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return found


def test_who_gives_way_is_a_thread_and_not_the_process() -> None:
    """It and the threads that it starts are so from then on; whoever started it is not, and a nicer one stays nicer."""
    before = Manners.ours()
    assert while_giving_way(Manners.ours) == [Manners(os.SCHED_BATCH, max(NICE, before.nice))] * 2
    assert Manners.ours() == before


def test_who_waits_for_everybody_is_not_made_to_wait_for_less() -> None:
    """A program that was started as idle stays so."""

    def idle() -> Manners:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        return while_giving_way(Manners.ours)[0]

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(idle).result().policy == os.SCHED_IDLE


@pytest.mark.skipif(SCHED_GETATTR is None, reason="the number of the call is not known")
@pytest.mark.skipif(
    tuple(int(part) for part in platform.release().split(".")[:2]) < SINCE, reason="slices cannot be asked for"
)
def test_others_take_the_core_at_once() -> None:
    """The slice is the longest there is, so that whoever wakes up has a shorter one."""

    def slice_ns() -> int:
        attr = ctypes.create_string_buffer(48)
        assert ctypes.CDLL(None).syscall(SCHED_GETATTR, 0, attr, 48, 0) == 0
        return int(struct.unpack("=IIQiIQQQ", attr.raw)[5])

    assert while_giving_way(slice_ns) == [SLICE_NS] * 2
    assert slice_ns() < SLICE_NS
