"""Guests: who is let in, for how long, and what a changed configuration does to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from exporter.errors import NoRoom
from exporter.guests import GUEST_SECONDS, MAX_GUESTS, Guests
from tests.views.shop import shop_config

if TYPE_CHECKING:
    from exporter.config import Config


def allowing(*patterns: str) -> Config:
    """A configuration with these patterns."""
    config = shop_config()
    return config.model_copy(update={"web": config.web.model_copy(update={"scrape_allow": patterns})})


CONFIG = allowing("redis://10.0.*")


def names(guests: Guests) -> list[str]:
    """The names of the guests."""
    return [target.name for target in guests.targets]


def test_an_allowed_server_becomes_a_target() -> None:
    """Named by its address, with the general settings, and without following where it points."""
    target = Guests().admit("redis://me:pw@10.0.0.9/2", CONFIG, 0.0)
    assert target is not None
    assert (target.name, target.topology) == ("10.0.0.9:6379", "standalone")
    assert target.endpoint.password is not None
    assert "pw" not in repr(target)
    assert (target.sampling, target.stats) == (CONFIG.sampling, CONFIG.stats)


def test_others_stay_outside() -> None:
    """None, and nothing is remembered."""
    guests = Guests()
    assert guests.admit("redis://10.1.0.9", CONFIG, 0.0) is None
    assert guests.admit("unix:///run/redis.sock", allowing("*"), 0.0) is None
    assert names(guests) == []


def test_a_guest_stays_while_it_is_asked_for() -> None:
    """Five minutes after the last time it goes."""
    guests = Guests()
    guests.admit("10.0.0.9", CONFIG, 0.0)
    guests.admit("10.0.0.8", CONFIG, 0.0)
    guests.admit("10.0.0.9", CONFIG, GUEST_SECONDS / 2)
    guests.retain(CONFIG, GUEST_SECONDS + 1)
    assert names(guests) == ["10.0.0.9:6379"]
    guests.retain(CONFIG, 2 * GUEST_SECONDS)
    assert names(guests) == []


def test_other_credentials_make_it_another_target() -> None:
    """A wrong password can be put right; asking without one changes nothing."""
    guests = Guests()
    wrong = guests.admit("redis://:wrong@10.0.0.9", CONFIG, 0.0)
    right = guests.admit("redis://:right@10.0.0.9", CONFIG, 1.0)
    assert right != wrong
    assert guests.admit("10.0.0.9:6379", CONFIG, 2.0) == right
    assert names(guests) == ["10.0.0.9:6379"]


def test_there_is_an_end_to_hospitality() -> None:
    """Beyond the bound NoRoom, but those who are there are still served."""
    guests = Guests()
    for number in range(MAX_GUESTS):
        guests.admit(f"10.0.0.{number}", CONFIG, 0.0)
    with pytest.raises(NoRoom):
        guests.admit("10.0.1.1", CONFIG, 0.0)
    assert guests.admit("10.0.0.3", CONFIG, 1.0) is not None


def test_who_is_not_allowed_any_more_leaves() -> None:
    """At the reload that changes the patterns."""
    guests = Guests()
    guests.admit("10.0.0.9", CONFIG, 0.0)
    guests.retain(allowing("redis://10.0.0.1"), 1.0)
    assert names(guests) == []


def test_guests_follow_the_general_settings() -> None:
    """After a reload."""
    guests = Guests()
    guests.admit("10.0.0.9", CONFIG, 0.0)
    changed = CONFIG.model_copy(update={"stats": CONFIG.stats.model_copy(update={"interval": 7.0})})
    guests.retain(changed, 1.0)
    assert guests.targets[0].stats.interval == 7.0
