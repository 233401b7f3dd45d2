"""For each alert: what makes it fire, and what is just not enough."""

from __future__ import annotations

from tests.alerts.cases.availability import AVAILABILITY
from tests.alerts.cases.features import FEATURES
from tests.alerts.cases.resources import RESOURCES

CASES = (*AVAILABILITY, *RESOURCES, *FEATURES)
