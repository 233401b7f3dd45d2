"""Extrapolating a scan: exact when all was seen, honest when not, and bounded whatever the keys are."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from exporter.keynames import KeyNames, group, stored
from exporter.sampling.groups import OTHER, Largest, Look

if TYPE_CHECKING:
    from exporter.snapshot import KeyGroup

STEP = 50


def shuffled(shares: dict[str, int], seed: int) -> list[tuple[bytes, int]]:
    """Keys with sizes, in the random order in which the buckets of a hash table hold them."""
    chance = random.Random(seed)
    keys = [
        (f"{name}:{n}".encode(), int(chance.lognormvariate(5, 1.2)) + 50)
        for name, count in shares.items()
        for n in range(count)
    ]
    chance.shuffle(keys)
    return keys


def look_at(keys: list[tuple[bytes, int]], **options: int) -> Look:
    """A look over these keys, in steps."""
    look = Look(group, options.get("max_groups", 50), options.get("lives", 0))
    for start in range(0, len(keys), STEP):
        step = keys[start : start + STEP]
        look.add(0, [key for key, _ in step], [size for _, size in step])
    return look


def by_name(groups: tuple[KeyGroup, ...]) -> dict[str, KeyGroup]:
    """The groups of database 0."""
    return {one.group: one for one in groups}


def test_a_whole_look_is_exact() -> None:
    """Everything was seen: low = estimate = high = the truth, for counts and memory."""
    keys = shuffled({"user": 700, "cart": 40}, 1)
    found = by_name(look_at(keys).groups({0: 740}, whole=True))
    assert (found["user:*"].keys_low, found["user:*"].keys, found["user:*"].keys_high) == (700, 700, 700)
    carts = sum(size for key, size in keys if key.startswith(b"cart"))
    assert (found["cart:*"].memory_low, found["cart:*"].memory, found["cart:*"].memory_high) == (carts, carts, carts)


def test_intervals_cover() -> None:
    """Seen a tenth of 20,000 keys in skewed groups: the 95 % intervals cover the truth at least 92 times in 100."""
    shares = {"a": 12_000, "b": 5_000, "c": 2_000, "d": 800, "e": 200}
    covered = {"keys": 0, "memory": 0}
    tried = 0
    for seed in range(60):
        keys = shuffled(shares, seed)
        found = by_name(look_at(keys[:2000]).groups({0: 20_000}, whole=False))
        for name, count in shares.items():
            bytes_ = sum(size for key, size in keys if key.startswith(name.encode()))
            one = found[f"{name}:*"]
            tried += 1
            covered["keys"] += one.keys_low <= count <= one.keys_high
            assert one.memory_low is not None
            assert one.memory_high is not None
            covered["memory"] += one.memory_low <= bytes_ <= one.memory_high
    assert covered["keys"] >= 0.92 * tried, covered
    assert covered["memory"] >= 0.92 * tried, covered


def test_groups_that_lie_together_widen_the_interval() -> None:
    """Where whole steps are of one group (cluster slots), the interval is as wide as that deserves."""
    mixed = [(b"a:%d" % n if n % 2 else b"b:%d" % n, 100) for n in range(2000)]
    clumped = [(b"a:%d" % n if n // 100 % 2 else b"b:%d" % n, 100) for n in range(2000)]
    widths = []
    for keys in (mixed, clumped):
        one = by_name(look_at(keys).groups({0: 100_000}, whole=False))["a:*"]
        widths.append(one.keys_high - one.keys_low)
    assert widths[1] > 2 * widths[0]


def test_what_was_seen_is_a_bound() -> None:
    """A group is never said to be smaller than what was seen of it, nor larger than what can be left."""
    keys = shuffled({"user": 95, "rare": 5}, 3)
    for one in look_at(keys).groups({0: 110}, whole=False):
        seen = 95 if one.group == "user:*" else 5
        assert seen <= one.keys_low <= one.keys <= one.keys_high <= seen + 10


def test_small_groups_fall_into_other() -> None:
    """Only so many groups are named, by number of keys; the rest adds up, and no more than four times that is held."""
    keys = [(b"big:%d" % n, 10) for n in range(500)] + [(f"name{chr(97 + n // 26)}{chr(97 + n % 26)}".encode(), 10)
            for n in range(26 * 20)]  # fmt: skip
    look = look_at(keys, max_groups=2)
    found = by_name(look.groups({0: len(keys)}, whole=True))
    assert set(found) <= {"big:*", OTHER} | {name for name in found if found[name].keys == 1}
    assert len(found) <= 3
    assert sum(one.keys for one in found.values()) == len(keys)
    assert found["big:*"].keys == 500


def test_databases_are_apart() -> None:
    """The same group in two databases is two rows, each extrapolated to its own database."""
    look = Look(group, 10, 0)
    look.add(0, [b"k:%d" % n for n in range(100)], [1] * 100)
    look.add(5, [b"k:%d" % n for n in range(100)], [3] * 100)
    found = {one.db: one for one in look.groups({0: 100, 5: 1000}, whole=False)}
    assert (found[0].keys, found[5].keys) == (100, 1000)
    assert (found[0].memory, found[5].memory) == (100, 3000)


def test_keys_that_are_gone_do_not_count() -> None:
    """A key that expired after SCAN is not counted; without the right to sizes, memory is unknown."""
    look = Look(group, 10, 0)
    look.add(0, [b"k:1", b"k:2"], [7, None])
    look.add(0, [b"k:3"], None)
    [found] = look.groups({0: 2}, whole=True)
    assert (found.keys, found.memory) == (2, None)


def test_lives_are_a_sample_of_each_group() -> None:
    """As many keys as are lacking are asked; the share that expires and its percentiles come out."""
    look = Look(group, 10, lives_per_group=10)
    keys = [b"k:%d" % n for n in range(30)]
    look.add(0, keys, [1] * 30)
    asked = look.without_life(0, keys)
    assert asked == keys[:10]
    for place, key in enumerate(asked):
        look.add_life(0, key, None if place < 5 else float(place))
    assert look.without_life(0, keys[10:]) == []
    life = look.groups({0: 30}, whole=True)[0].life
    assert life is not None
    assert (life.keys, life.expiring_ratio, life.p10, life.p50, life.p90) == (10, 0.5, 5.0, 7.0, 9.0)


def test_masked_names_are_never_groups() -> None:
    """Groups are named as labels are: what may be a credential is folded."""
    look = Look(KeyNames().group, 10, 0)
    look.add(0, [b"session:abcdefgh"], [1])
    assert [one.group for one in look.groups({0: 1}, whole=True)] == ["session:*"]


def test_the_largest_keys_survive_a_million_others() -> None:
    """Ten planted among many are found; one that is gone leaves, and one that shrinks makes room."""
    largest = Largest(10)
    for start in range(0, 100_000, 100):
        largest.add(0, [b"k:%d" % n for n in range(start, start + 100)], [100 + n % 1000 for n in range(100)])
        if start % 10_000 == 0:
            largest.add(0, [b"planted:%d" % start], [50_000 + start])
    assert {key for (_, key), _ in largest.ranked()[:10]} == {b"planted:%d" % n for n in range(0, 100_000, 10_000)}
    largest.renew(0, [b"planted:0", b"planted:10000"], [None, 3])
    assert [key for (_, key), _ in largest.ranked()[:9]][-1] != b"planted:0"
    assert len(largest.ranked()) <= 50


@pytest.mark.parametrize("length", [10, 5000])
def test_long_names_are_held_in_bounded_memory(length: int) -> None:
    """A huge name is held as its beginning and a digest, and not asked about again."""
    largest = Largest(1)
    key = b"k" * length
    largest.add(0, [key], [9])
    assert largest.ranked() == [((0, stored(key)), 9)]
    assert largest.askable() == ({0: [key]} if length < 500 else {})
