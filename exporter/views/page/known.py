"""What the page is made of: everything that is known at one moment, and what of it was asked for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from exporter.history import Curve, History
    from exporter.keynames import KeyNames
    from exporter.snapshot import Node
    from exporter.views.alerts import Alert
    from exporter.views.details import Details
    from exporter.views.page.filters import Filter
    from exporter.views.reading import Moment, Reading
    from exporter.warmth import JobState


@dataclass(frozen=True, slots=True)
class Known:
    """Readings of nodes, active alerts, states of warming jobs and the last hour, at `now`.

    `opened` are the details of the key that was asked for, if it is known.
    """

    readings: tuple[Reading, ...]
    alerts: tuple[Alert, ...]
    jobs: tuple[JobState, ...]
    history: History
    names: KeyNames
    now: Moment
    opened: Details | None = None

    def only(self, wanted: Filter) -> Known:
        """What is left of it for a filter by target and node."""
        return replace(
            self,
            readings=tuple(one for one in self.readings if wanted.takes(one.node.target, one.node.addr)),
            alerts=tuple(one for one in self.alerts if wanted.takes(one.target, one.addr)),
            jobs=tuple(one for one in self.jobs if wanted.takes(one.target)),
        )

    @property
    def several(self) -> bool:
        """Whether rows have to say which node they are about."""
        return len(self.readings) > 1

    def curve(self, node: Node, *subjects: object) -> Curve:
        """The last hour of some subjects of a node, added up; all curves of a page are equally long."""
        at = self.now.monotonic
        return self.history.curve(node, subjects, at, self.history.span(at))
