"""Targets that nobody configured: a URL that `/scrape` was asked for comes in, a target for a while goes out.

A guest is named by its address (`host:port`), which no configured target can be named, since names have no colon.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pydantic import SecretStr

from exporter.config import Target
from exporter.config.allow import allowed
from exporter.config.endpoint import parse
from exporter.errors import NoRoom
from exporter.redaction import register_secret

if TYPE_CHECKING:
    from exporter.config import Config
    from exporter.snapshot import Node

GUEST_SECONDS = 300.0
MAX_GUESTS = 50
"""Each has two threads and its share of the total budget."""


@dataclass(frozen=True, slots=True)
class _Guest:
    target: Target
    used_at: float


def is_guest(node: Node) -> bool:
    """Whether a node was let in by `/scrape`; a configured target has no name with a colon."""
    return node.target == node.addr


class Guests:
    """The guests of one process; `now` is its monotonic clock in seconds. The caller sees that calls take turns."""

    def __init__(self) -> None:
        self._guests: dict[str, _Guest] = {}

    @property
    def targets(self) -> tuple[Target, ...]:
        """All guests, the first that came first."""
        return tuple(guest.target for guest in self._guests.values())

    def admit(self, url: str, config: Config, now: float) -> Target | None:
        """Take in the server of a URL, or note that it is still of use; None where it is not allowed in.

        A guest that is there stays as it is, unless the URL brings other credentials.

        Raises:
            NoRoom: there are MAX_GUESTS others.
            ValueError: this is not a URL; says why without repeating any of it.

        """
        endpoint = parse(url)
        if not allowed(endpoint, config.web.scrape_allow):
            return None
        known = self._guests.get(endpoint.addr)
        if known is not None and (endpoint.password is None or known.target.endpoint == endpoint):
            self._guests[endpoint.addr] = replace(known, used_at=now)
            return known.target
        if known is None and len(self._guests) >= MAX_GUESTS:
            raise NoRoom(f"{MAX_GUESTS} servers that are not configured are watched already")
        if endpoint.password:
            register_secret(endpoint.password.get_secret_value())
        # A guest does not bring in others: what it says of a cluster or of replicas is not followed.
        target = Target.model_construct(
            name=endpoint.addr, url=SecretStr(url), topology="standalone", sampling=config.sampling, stats=config.stats
        )
        self._guests[endpoint.addr] = _Guest(target, now)
        return target

    def retain(self, config: Config, now: float) -> None:
        """Drop who was not asked for in GUEST_SECONDS, and who is not allowed any more; settings follow `config`."""
        self._guests = {
            name: replace(
                guest, target=guest.target.model_copy(update={"sampling": config.sampling, "stats": config.stats})
            )
            for name, guest in self._guests.items()
            if now - guest.used_at <= GUEST_SECONDS and allowed(guest.target.endpoint, config.web.scrape_allow)
        }
