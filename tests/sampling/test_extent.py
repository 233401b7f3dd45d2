"""What a second stands for must not depend on where in it things happen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sampling.simulation import Simulation
from tests.scenarios import Scenario, Stream, background

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

LENGTH = 0.02


def at(offset: float) -> Stream:
    """500 accesses in each second, all of them at one place in it."""

    def shape(_: random.Random, second: int) -> Sequence[tuple[float, float, float]]:
        return [(second + offset, second + offset + LENGTH, 500.0 / LENGTH)]

    return Stream(f"at {offset}", [b"at:%d" % round(100 * offset)], shape)


@pytest.mark.parametrize(("load", "windows", "error"), [(100_000.0, 30, 0.08), (700_000.0, 60, 0.14)])
def test_the_place_in_a_second_does_not_matter(load: float, windows: int, error: float) -> None:
    """Traffic with the rhythm of the clock: what comes at the end of each second counts for no more than the rest."""
    scenario = Scenario([background(load, 100), *map(at, (0.0, 0.5, 1.0 - LENGTH))])
    judgements = [one for seed in range(1, 5) for one in Simulation(scenario, seed).run(windows)]
    for key in (b"at:0", b"at:50", b"at:98"):
        of_key = [one for one in judgements if one.key == key]
        said, truth = sum(one.said.rate for one in of_key if one.said), sum(one.truth for one in of_key)
        assert said / truth == pytest.approx(1.0, abs=error), key
