"""Are the published figures true? Windows from the API on one side, what the load generator did on the other.

In: an exporter that watches a `Load`, then the load's `Truth`. Out: a `Verdict` over (key, window) pairs.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from statistics import mean, median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from tests.load import Truth
    from tests.program import Exporter

NEAR = 1.05
"""Keys whose true rates differ by less than this factor may change places."""


@dataclass(frozen=True, slots=True)
class Published:
    """One whole window as the API told it: `keys` maps a key to (rate, low, high), hottest first."""

    start: int
    end: int
    keys: dict[bytes, tuple[float, float, float]]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What many windows say; errors and half-widths are relative to the true rate.

    `named`: the share of windows whose top ten are the true ones, near ties aside. `coverage`: the share of judged
    (key, window) pairs with the truth inside the interval; a key that was not published is not covered.
    """

    windows: int
    named: float
    top_error: float
    top_half_width: float
    pairs: int
    coverage: float
    commands_per_second: float


def windows(exporter: Exporter, seconds: float, told: Callable[[float], None] = lambda _: None) -> list[Published]:
    """Collect every whole window that the API shows within `seconds`; `told` hears how much time is left."""
    found: dict[int, Published] = {}
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        told(left)
        answer = exporter.api_hotkeys(limit=100)
        if (window := _published(answer)) is not None:
            found.setdefault(window.end, window)
        time.sleep(0.5)
    return list(found.values())


def _published(answer: dict[str, Any]) -> Published | None:
    if answer["window_end"] is None:
        return None
    end, length = int(answer["window_end"]), int(answer["window_seconds"])
    keys = {one["key"].encode(): (one["accesses_per_second"], one["low"], one["high"]) for one in answer["hotkeys"]}
    return Published(end - length, end, keys)


def verdict(published: Sequence[Published], truth: Truth, judged: Collection[bytes] = (), most: int = 100) -> Verdict:
    """Compare whole windows with the truth; judged are the `most` hottest keys of each, and those of `judged`."""
    whole = [one for one in published if all(second in truth.commands for second in range(one.start - 1, one.end + 1))]
    if not whole:
        raise ValueError("no published window lies inside the load")
    pairs = [pair for window in whole for pair in _pairs(window, truth, judged, most)]
    top = [pair for window in whole for pair in _pairs(window, truth, (), 10)]
    missing = (0.0, 0.0, 0.0)
    return Verdict(
        windows=len(whole),
        named=mean(_ten_named(window, truth) for window in whole),
        top_error=mean(abs((said or missing)[0] / rate - 1) for rate, said in top),
        top_half_width=median((said[2] - said[1]) / 2 / rate for rate, said in top if said),
        pairs=len(pairs),
        coverage=mean(said is not None and said[1] <= rate <= said[2] for rate, said in pairs),
        commands_per_second=mean(truth.commands_per_second(window.start, window.end) for window in whole),
    )


def _pairs(
    window: Published, truth: Truth, judged: Collection[bytes], most: int
) -> Iterator[tuple[float, tuple[float, float, float] | None]]:
    """True rate, and what was said, of the judged keys of a window."""
    rates = truth.rates(window.start, window.end)
    hottest = sorted(rates, key=lambda key: -rates[key])[:most]
    return ((rates[key], window.keys.get(key)) for key in {*hottest, *judged} if key in rates)


def _ten_named(window: Published, truth: Truth) -> bool:
    """Whether the ten that are called hottest are; one that is nearly as hot may stand for another."""
    rates = truth.rates(window.start, window.end)
    hottest = sorted(rates, key=lambda key: -rates[key])[:10]
    said = list(window.keys)[:10]
    missed = [rates[key] for key in hottest if key not in said]
    instead = [rates.get(key, 0.0) for key in said if key not in hottest]
    return len(said) == 10 and (not missed or max(missed) <= NEAR * min(instead))
