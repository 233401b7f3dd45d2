"""LATENCY HISTOGRAM: what the reply leaves out is filled in."""

from __future__ import annotations

from exporter.stats.info import Info
from exporter.stats.latency import MOST_BUCKETS, histograms

NO_INFO = Info({}, {}, {})
GET = [b"get", [b"calls", 10, b"histogram_usec", [1, 4, 2, 10]]]
SORT = [b"sort", [b"calls", 3, b"histogram_usec", [2, 1, 1056, 3]]]


def test_all_commands_have_the_same_bounds() -> None:
    """So that buckets can be added up over commands: every sum ascends, and no call is lost at a bound."""
    found = histograms(NO_INFO, [GET + SORT])
    assert found["get"].buckets == ((1, 4), (2, 10), (1056, 10))
    assert found["sort"].buckets == ((1, 0), (2, 1), (1056, 3))
    sums = [sum(pair) for pair in zip(*([calls for _, calls in one.buckets] for one in found.values()), strict=True)]
    assert sums == sorted(sums)
    assert sums[-1] == 13


def test_a_server_that_makes_up_bounds_costs_nothing() -> None:
    """More different bounds than any server has are left as they came: no product of commands and bounds."""
    entries = [part for n in range(MOST_BUCKETS + 1) for part in (b"c%d" % n, [b"calls", 1, b"histogram_usec", [n, 1]])]
    found = histograms(NO_INFO, [entries])
    assert {len(one.buckets) for one in found.values()} == {1}
