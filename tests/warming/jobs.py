"""Jobs for tests of warming, made the way a configuration makes them."""

from __future__ import annotations

from typing import Any

from exporter.config.warming import WarmingJob


def job_of(source: dict[str, Any] | None = None, **settings: Any) -> WarmingJob:
    """A job with these settings over small defaults."""
    given = {"name": "sessions", "key": "session:{id}", "source": source or {"type": "python", "call": "a:b"}}
    if given["source"]["type"] in {"redis", "snapshot"}:
        del given["key"]
    return WarmingJob.model_validate(given | settings)
