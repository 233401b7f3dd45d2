"""For each alert: what makes it fire, and what is just not enough. Figures are written out, not taken from values.yaml.

Series are named as in PromQL, with the labels of a node added. A figure stays what it is; `(first, step)` changes by
`step` a minute; a string is promtool's own notation, for series that change their course.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    Series = Mapping[str, float | tuple[float, float] | str]

STORE = 'redis_instance_info{maxmemory_policy="noeviction"}'
CACHE = 'redis_instance_info{maxmemory_policy="allkeys-lru"}'
LIMITS: Series = {
    "{}hotkey_exporter_alert_memory_threshold_ratio": 0.9,
    "{}hotkey_exporter_alert_latency_threshold_seconds": 0.1,
}
KEY = '{db="0",key="sale"}'


@dataclass(frozen=True, slots=True)
class Case:
    """One alert (of one severity, or window) with the series that fire it after `first` minutes and its `for`.

    Each of `quiet` must leave it silent when it would fire, and at `late`.
    """

    alert: str
    fires: Series
    quiet: tuple[Series, ...]
    first: int = 0
    severity: str = ""
    window: str = ""
    step: int = 1
    late: int = 0
    common: Series = field(default_factory=dict)


def hot(low: float, share: float, ratio: float = 2) -> Series:
    """A key with this rate and share."""
    return {
        f"redis_hotkey_accesses_per_second_low{KEY}": low,
        f"redis_hotkey_low_to_threshold_ratio{KEY}": ratio,
        f"redis_hotkey_share_ratio{KEY}": share,
        "redis_hotkey_threshold_share_ratio": 0.1,
    }


def cpu(percent: float) -> Series:
    """A main thread that takes so many percent of a core."""
    half = percent * 0.6 / 2
    return {
        "redis_cpu_sys_main_thread_seconds_total": (0, half),
        "redis_cpu_user_main_thread_seconds_total": (0, half),
    }


def memory(used: float, limit: float = 100, host: float = 1000) -> Series:
    """Memory in use, maxmemory, and the host's."""
    return {
        "redis_memory_used_bytes": used,
        "redis_memory_max_bytes": limit,
        "redis_total_system_memory_bytes": host,
    }


def errors(share: float, per_minute: float = 6000) -> Series:
    """So many refused commands for each that is asked."""
    return {
        'redis_errors_total{err="OOM"}': (0, per_minute * share),
        "redis_commands_processed_total": (0, per_minute * (1 - share)),
    }


def recovered(share: float, short: int, wait: int, step: int) -> Series:
    """Down for a step, then less than `share` of the time: too much over the long window, and not over the short one."""
    return {"redis_up": f"1+0x{wait // step + 1} 0 {1 - 0.9 * share:f}+0x{2 * (short + wait) // step}"}


def begun(share: float, short: int, wait: int, step: int) -> Series:
    """Less than `share` of the time down, and lately more: too much over the short window, and not over the long one."""
    part = (short + wait) // step
    return {"redis_up": f"{1 - 0.88 * share:f}+0x{part + 2} {1 - 1.1 * share:f}+0x{part}"}


def hits(before: tuple[int, int], after: tuple[int, int], minutes: int) -> Series:
    """Hits and misses a minute (or step), before and after so many minutes (or steps)."""
    return {
        f"redis_keyspace_{name}_total": f"0+{first}x{minutes} {first * minutes}+{then}x{2 * minutes}"
        for name, first, then in (("hits", before[0], after[0]), ("misses", before[1], after[1]))
    }


JOB = '{job_name="products"}'
WARM = "redis_cache_warming"

# An increase over a window that is not full yet is smaller: the first minute at which it is large enough.
ERRORS_FIRST = {"1h": 1, "6h": 20, "1d": 150, "3d": 1320}
