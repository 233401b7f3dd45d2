"""What the web needs of the rest of the process: its configuration, its health, and the few things it may change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from exporter.config import Config
    from exporter.errors import Problem
    from exporter.snapshot import Node
    from exporter.views.health import Liveness


class Daemon(Protocol):
    """The process behind the endpoints. What may take a while is called in a thread."""

    def config(self) -> Config:
        """Return the configuration of the moment, with the targets that were let in by `web.scrape_allow`."""
        ...

    def alive(self) -> Liveness:
        """Say which of the parts that must always run do."""
        ...

    def reload(self) -> tuple[Problem, ...]:
        """Apply the configuration as it is on disk; or say why not, and then nothing has changed. May take a while."""
        ...

    def admit(self, url: str) -> Node | None:
        """Watch a server that is not configured for a while; None where that is not allowed. May take a while.

        Raises:
            NoRoom: there are too many of them.
            ValueError: this is not a URL; says why without repeating any of it.

        """
        ...

    def switch_sampling(self, target: str | None, seconds: float | None, *, on: bool) -> None:
        """Switch sampling of one target (None: of all) on, or off for so many seconds (None: until it is on again)."""
        ...

    def sampling_off_seconds(self, target: str) -> float | None:
        """Say for how long sampling of a target is still switched off: infinity for good, None while it is on."""
        ...
