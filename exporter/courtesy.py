"""Threads whose work can wait, on a machine that others need: they take what is left, and nobody waits for them."""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys
import threading
from contextlib import suppress

NICE = 15
"""A thirtieth of a core that somebody else never leaves: a run takes long there, but not for ever."""
SLICE_NS = 100_000_000
"""The longest slice there is: whoever asks for shorter ones (all others do) takes the core at once when it wakes up."""
_SCHED_SETATTR = {"x86_64": 314, "aarch64": 274}  # asm/unistd.h; few C libraries have a function for it
_ATTR = struct.Struct("=IIQiIQQQ")  # sched_attr of sched_setattr(2): size, policy, flags, nice, priority, runtime, …


def give_way() -> None:
    """Let everybody else on this machine go first where cores are short: this thread, and those that it starts.

    A low weight is not enough. A thread that slept while others ran may still take the core of somebody who needs it
    now, and keeps it until its slice ends. A batch thread takes none when it wakes up, and loses its own to whoever
    wakes up with a shorter slice (since Linux 6.12). SCHED_IDLE would leave no weight to go on with on a busy machine.
    """
    if sys.platform != "linux":  # elsewhere it would be the whole process
        return
    thread = threading.get_native_id()
    if os.sched_getscheduler(thread) == os.SCHED_IDLE:  # somebody wants it to wait for everybody
        return
    with suppress(OSError):
        os.sched_setscheduler(thread, os.SCHED_BATCH, os.sched_param(0))
    nice = max(NICE, os.getpriority(os.PRIO_PROCESS, thread))
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, thread, nice)
    number = _SCHED_SETATTR.get(platform.machine())
    if number is not None:
        attr = _ATTR.pack(_ATTR.size, os.SCHED_BATCH, 0, nice, 0, SLICE_NS, 0, 0)
        ctypes.CDLL(None).syscall(number, thread, attr, 0)  # a kernel that refuses has no such slices
