"""What is said of keys in dense clumps, and what would be said of them without the corrections that they need.

`python -m benchmarks.clumps [--hours N] [--draw]`; the last line is one JSON object. On a simulated clock, through the
governor's real plans and the real window: pipelines of 20,000 commands, one a second, on a server that takes two thirds
longer over a command while it prints it; commands with values of 20 kB, sixty at once; spikes of 1.5 million commands a
second. `bias` is what is said of all these keys over what they did, less one; `coverage` the share of 95 % intervals
that hold the truth; `plain` are those of the same moments without the weights of bursts that a limit cuts short, and
without the calibration to the server's own count.
"""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from benchmarks import drawing
from tests.sampling.pipelines import watch
from tests.sampling.simulation import Simulation, bias, coverage
from tests.scenarios import Scenario, Stream, background, spikes

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.sampling.simulation import Judgement

WINDOWS = 20


def main() -> None:
    """Run all three twice and print them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=2.0, help="of each kind of traffic")
    parser.add_argument("--draw", action="store_true", help="write the figure into docs/figures")
    options = parser.parse_args()
    seeds = range(1, 1 + max(1, round(3 * options.hours)))
    found = {name: judged(traffic, seeds) for name, traffic in TRAFFIC.items()}
    if options.draw:
        names = {"coverage": "", "plain_coverage": ", plain"}
        shares = {f"{of}{more}": 100 * one[name] for of, one in found.items() for name, more in names.items()}
        drawing.save("clumps", drawing.bars("Share of 95 % intervals that hold the truth", shares, " %", 90))
    print(json.dumps({"benchmark": "clumps", **found}))


def spiky(seed: int, plain: bool) -> list[Judgement]:
    """Twice a second, for 20 ms, half of all that the server does in it."""
    stream = Stream("spiky", [b"spiky"], spikes(60_000.0, 0.02, 2), [1.0])
    judgements = Simulation(Scenario([background(46_000.0, 100), stream]), seed, plain=plain).run(WINDOWS)
    return [one for one in judgements if one.key == b"spiky"]


TRAFFIC: dict[str, Callable[[int, bool], list[Judgement]]] = {
    "pipelines": lambda seed, plain: watch("pipelines", WINDOWS, 60, seed, plain=plain),
    "wide values": lambda seed, plain: watch("wide values", WINDOWS, 60, seed, plain=plain),
    "spikes": spiky,
}


def judged(traffic: Callable[[int, bool], list[Judgement]], seeds: range) -> dict[str, float]:
    """Bias and coverage of one kind of traffic, as it is and plain."""
    figures = {}
    for plain in (False, True):
        judgements = [one for seed in seeds for one in traffic(seed, plain)]
        name = "plain_" if plain else ""
        figures[f"{name}bias"] = round(bias(judgements), 3)
        figures[f"{name}coverage"] = round(coverage(judgements), 3)
    return figures


if __name__ == "__main__":
    main()
