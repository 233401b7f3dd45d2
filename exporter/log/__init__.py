"""Logging: an event, a sentence and attributes in, one redacted line on standard error out.

`log.warning("sampling.refused", "MONITOR is refused", addr=…)` becomes one JSON object, or one readable line on a
terminal. Names and values go into attributes, never into the sentence. What libraries log through `logging`, Python's
warnings, and what ends a thread or the process take the same way. Before `setup` nothing is written.
"""

from __future__ import annotations

from exporter.log.context import carried, correlation, correlation_id, fresh
from exporter.log.events import Changes, Throttle, log
from exporter.log.setup import setup

__all__ = ["Changes", "Throttle", "carried", "correlation", "correlation_id", "fresh", "log", "setup"]
