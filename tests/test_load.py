"""The yardstick itself: the load generator does what it says, and the judge and the drawings are right."""

from __future__ import annotations

import time
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import pytest

from benchmarks import drawing
from tests.load import BATCH, BATCHES, Load, Source, Truth
from tests.scenarios import background, scenarios, zipf_only
from tests.verdict import Published, verdict

if TYPE_CHECKING:
    from tests.servers import Server

SMALL = partial(zipf_only, 3000.0, 50)


def test_what_the_generator_tells_is_what_the_server_did(redis_server: Server) -> None:
    """Commands by its own count are commands by the server's count, and keys add up to them."""
    client: Any = redis_server.client()
    with Load(redis_server.port, SMALL) as load:
        time.sleep(1.5)
        truth = load.stop()
    calls = client.info("commandstats")["cmdstat_get"]["calls"]
    assert sum(truth.commands.values()) == calls > 2000
    assert sum(count for second in truth.keys.values() for count in second.values()) == calls


def test_the_server_sees_the_keys_that_are_told(redis_server: Server) -> None:
    """A MONITOR beside it counts the same keys in the same seconds, whole seconds apart from a write at their ends."""
    seen: dict[int, Counter[bytes]] = {}
    with redis_server.client().monitor() as monitor, Load(redis_server.port, SMALL) as load:
        until = time.time() + 3.2
        for line in monitor.listen():
            seen.setdefault(int(line["time"]), Counter())[line["command"].split()[-1].encode()] += 1
            if line["time"] > until:
                break
        truth = load.stop()
    whole = sorted(seen)[1:-1]
    assert len(whole) >= 2
    for second in whole:
        told = Counter(truth.keys[second])
        assert ((told - seen[second]) + (seen[second] - told)).total() <= 200  # one write that crosses, at each end


def test_batches_hold_keys_in_proportion() -> None:
    """By Zipf's law to within one, so that the tenth key is a tenth of the first and not of its luck."""
    source = Source(background(1000.0, 1000), 1)
    drawn = source.counts(Counter(range(BATCHES)))
    total = sum(1 / n for n in range(1, 1001))
    for rank in (1, 10, 100):
        assert drawn[b"z:%06d" % rank] == pytest.approx(BATCHES * BATCH / rank / total, abs=1.01)


@pytest.mark.parametrize("name", scenarios())
def test_segments_are_reproducible_and_inside_their_second(name: str) -> None:
    """The same seed gives the same second; rates are finite and positive, and nothing leaves the second."""
    for stream in scenarios()[name].streams:
        for second in (0, 17, 59):
            segments = stream.segments(3, second)
            assert segments == stream.segments(3, second)
            assert all(second <= start < end <= second + 1.0 and rate >= 0.0 for start, end, rate in segments)


def test_the_verdict_counts_what_it_says() -> None:
    """One key of two covered, the missing one not; errors relative to the truth; windows outside the load left out."""
    truth = Truth({second: {b"a": 10, b"b": 20} for second in range(10, 22)}, dict.fromkeys(range(10, 22), 30))
    inside = Published(11, 21, {b"a": (11.0, 9.0, 12.0)})
    outside = Published(5, 15, {})
    found = verdict([inside, outside], truth)
    assert (found.windows, found.pairs, found.coverage) == (1, 2, 0.5)
    assert found.top_error == pytest.approx((0.1 + 1.0) / 2)
    assert found.commands_per_second == 30.0
    with pytest.raises(ValueError, match="inside the load"):
        verdict([outside], truth)


def test_figures_are_documents() -> None:
    """Every kind of figure is well-formed XML that names what it shows, whatever characters the names hold."""
    figures = {
        "a <b> & c": drawing.bars("t", {"a <b> & c": 1.0, "zero": 0.0}, line=0.97),
        "rank": drawing.intervals("t", [(1, 1.0, 0.9, 1.1), (100, 1.2, 1.1, 1.4)], ("rank", "y")),
        "warm": drawing.curves("t", {"warm": [(-1, 1.0), (0, 0.2), (1, 0.95)]}, ("s", "ratio"), 0.9),
        "busy": drawing.steps("t", {"busy": [0.5, 1.0, 2.0]}, " s", 3.0),
    }
    for name, figure in figures.items():
        texts = [element.text for element in ElementTree.fromstring(figure).iter() if element.text]
        assert name in texts
