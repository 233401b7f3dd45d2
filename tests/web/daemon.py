"""A daemon for tests of the endpoints: a configuration that stands still, and notes of what was asked of it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from exporter.config.allow import allowed
from exporter.config.endpoint import parse
from exporter.errors import NoRoom, Problem
from exporter.snapshot import Node
from tests.views import shop

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exporter.config import Config


class FakeDaemon:
    """What the web needs of the rest; `configs[-1]` is the configuration of the moment."""

    def __init__(self, config: Config | None = None, alive: Mapping[str, bool] | None = None) -> None:
        self.configs = [config or shop.shop_config()]
        self.problems: tuple[Problem, ...] = ()
        self.reloads = 0
        self.admitted: list[str] = []
        self.full = False
        self.off: dict[str, float] = {}
        self._alive = alive or {"prober": True}

    def config(self) -> Config:
        """The last of `configs`."""
        return self.configs[-1]

    def alive(self) -> Mapping[str, bool]:
        """What the test said."""
        return self._alive

    def reload(self) -> tuple[Problem, ...]:
        """Counted; refused with `problems`."""
        self.reloads += 1
        return self.problems

    def admit(self, url: str) -> Node | None:
        """Let in what the configuration allows, unless `full`."""
        endpoint = parse(url)
        if not allowed(endpoint, self.config().web.scrape_allow):
            return None
        if self.full:
            raise NoRoom("50 servers that are not configured are watched already")
        self.admitted.append(endpoint.addr)
        return Node(endpoint.addr, endpoint.addr)

    def switch_sampling(self, target: str | None, seconds: float | None, *, on: bool) -> None:
        """Noted."""
        for name in [target] if target else [one.name for one in self.config().targets]:
            if on:
                self.off.pop(name, None)
            else:
                self.off[name] = math.inf if seconds is None else seconds

    def sampling_off_seconds(self, target: str) -> float | None:
        """As noted."""
        return self.off.get(target)
