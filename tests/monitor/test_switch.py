"""The kill switch: what is off, for how long, and what switches it on again."""

from __future__ import annotations

import math

from exporter.monitor.switch import Switch


def test_everything_is_on_at_first() -> None:
    """No target is off."""
    assert not Switch().is_off("cache", 0.0)


def test_one_target_is_off_until_its_time_is_over() -> None:
    """The others stay on."""
    switch = Switch()
    switch.off("cache", until=10.0)
    assert switch.is_off("cache", 9.9)
    assert not switch.is_off("cache", 10.0)
    assert not switch.is_off("queue", 5.0)


def test_without_a_time_it_stays_off() -> None:
    """Until somebody switches it on."""
    switch = Switch()
    switch.off("cache")
    assert switch.off_until("cache", 1e12) == math.inf
    switch.on("cache")
    assert not switch.is_off("cache", 1.0)


def test_all_targets_are_off_at_once() -> None:
    """Those that are not known yet, too; switching one on does not overrule that."""
    switch = Switch()
    switch.off(None, until=10.0)
    switch.on("cache")
    assert switch.is_off("cache", 5.0)
    assert switch.is_off("new", 5.0)


def test_switching_all_on_forgets_single_ones() -> None:
    """A tired person need not remember what was switched off before."""
    switch = Switch()
    switch.off("cache")
    switch.off(None)
    switch.on(None)
    assert not switch.is_off("cache", 0.0)


def test_the_longer_time_counts() -> None:
    """One target for an hour and all for a minute: the one stays off."""
    switch = Switch()
    switch.off("cache", until=3600.0)
    switch.off(None, until=60.0)
    assert switch.off_until("cache", 0.0) == 3600.0
