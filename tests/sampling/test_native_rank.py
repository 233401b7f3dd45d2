"""The order of what servers themselves say of their keys: one interrupted command is no hot key."""

from __future__ import annotations

from dataclasses import replace

from exporter.sampling.native_rank import leaders, ranked
from exporter.snapshot import NativeKey

HOT = NativeKey(None, b"hot", cpu_seconds_per_second=0.02, network_bytes_per_second=90_000)
COLD = NativeKey(None, b"cold", cpu_seconds_per_second=0.0001, network_bytes_per_second=40)
HEAVY = NativeKey(None, b"heavy", cpu_seconds_per_second=0.3, network_bytes_per_second=4_000)
BIG = NativeKey(None, b"big", cpu_seconds_per_second=0.001, network_bytes_per_second=900_000)


def order(*keys: NativeKey, top: int = 30) -> list[bytes]:
    """The names in the order in which they are shown."""
    return [key.key for key in ranked(leaders(keys, top))]


def test_an_interrupted_command_is_not_the_hottest_key() -> None:
    """A cold key whose one sampled command took 50 times the CPU of the hottest key stays behind it."""
    interrupted = replace(COLD, cpu_seconds_per_second=50 * 0.02)
    assert order(interrupted, HOT)[0] == b"hot"


def test_what_is_heavy_in_either_way_is_before_what_is_in_none() -> None:
    """A costly script and a big value both rank before cold keys, whatever the order they came in."""
    assert set(order(COLD, HEAVY, BIG, HOT)[:3]) == {b"hot", b"heavy", b"big"}
    assert order(HOT, BIG, HEAVY, COLD) == order(COLD, HEAVY, BIG, HOT)


def test_a_key_of_one_list_only_takes_the_least_of_the_other() -> None:
    """Redis lists the leaders of each figure: who is not in the other list has no more than its last."""
    only_cpu = replace(HEAVY, key=b"only", network_bytes_per_second=None)
    assert order(only_cpu, COLD, HOT) == [b"hot", b"only", b"cold"]


def test_one_figure_alone_is_the_order() -> None:
    """Accesses of Valkey and LFU counters rank by themselves; each figure has so many leaders, and no key twice."""
    assert order(*(NativeKey(0, b"%d" % n, accesses_per_second=n) for n in range(5)), top=2) == [b"4", b"3"]
    assert order(*(NativeKey(0, b"%d" % n, frequency=n) for n in range(3))) == [b"2", b"1"]
    assert sorted(order(BIG, HEAVY, HOT, top=1)) == [b"big", b"heavy"]
    assert order() == []
