"""What this process counts about itself: its jobs, its log lines, its memory and CPU.

Jobs and the log come in, families named `hotkey_exporter_*` and `process_*` go out; `views.metrics` writes them.
Each `Meters` has a registry of its own, so that two of them (two tests) never share a number.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from exporter import tracing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client import Metric

# From a probe of a local server to a SCAN of a large one.
_SECONDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 60.0)
_LEVELS = ("debug", "info", "warning", "error", "critical")


class Meters:
    """The counters of one process; `version` becomes `hotkey_exporter_build_info{version}`. Thread-safe."""

    def __init__(self, version: str) -> None:
        self._registry = CollectorRegistry()
        registry = self._registry
        build = Gauge("hotkey_exporter_build_info", "Version of this exporter.", ["version"], registry=registry)
        build.labels(version).set(1)
        self._seconds = Histogram(
            "hotkey_exporter_job_seconds", "Duration of one run.", ["job_name"], registry=registry, buckets=_SECONDS
        )
        self._runs = Counter(
            "hotkey_exporter_job_runs_total",
            "Runs by outcome: complete, failed.",
            ["job_name", "outcome"],
            registry=registry,
        )
        self._last_success = Gauge(
            "hotkey_exporter_job_last_success_timestamp_seconds",
            "When the last complete run ended.",
            ["job_name"],
            registry=registry,
        )
        self._log_events = Counter(
            "hotkey_exporter_log_events_total", "Log lines by level.", ["level"], registry=registry
        )
        self._reloaded = Gauge(
            "hotkey_exporter_config_last_reload_successful",
            "1 if the configuration was usable when it was last read, 0 while an older one is kept.",
            registry=registry,
        )
        self._reloaded_at = Gauge(
            "hotkey_exporter_config_last_reload_success_timestamp_seconds",
            "When the configuration in use was read.",
            registry=registry,
        )
        self._memory_limit = Gauge(
            "hotkey_exporter_alert_memory_threshold_ratio",
            "Configured share of the memory above which an alert is active.",
            registry=registry,
        )
        self._latency_limit = Gauge(
            "hotkey_exporter_alert_latency_threshold_seconds",
            "Configured time for a PING above which an alert is active.",
            registry=registry,
        )
        for level in _LEVELS:  # present from the start: an increase from nothing is invisible to rate()
            self._log_events.labels(level)
        ProcessCollector(registry=registry)

    @contextmanager
    def job(self, name: str) -> Iterator[None]:
        """Count one run of the job `name`: its seconds, and `complete`, or `failed` if it raises (and raise on)."""
        self._runs.labels(name, "failed")
        began = time.perf_counter()
        outcome = "failed"
        try:
            yield
            outcome = "complete"
            self._last_success.labels(name).set_to_current_time()
        finally:
            self._seconds.labels(name).observe(time.perf_counter() - began, tracing.exemplar())
            self._runs.labels(name, outcome).inc()

    def log_event(self, level: str) -> None:
        """Count one log line; `level` in any case."""
        self._log_events.labels(level.lower()).inc()

    def config_read(self, *, usable: bool) -> None:
        """Note that the configuration was read, and whether it could be used."""
        self._reloaded.set(int(usable))
        if usable:
            self._reloaded_at.set_to_current_time()

    def alert_thresholds(self, memory_ratio: float, latency_seconds: float) -> None:
        """Show the thresholds of `/health/redis-alerts`, so that rules can use the same ones."""
        self._memory_limit.set(memory_ratio)
        self._latency_limit.set(latency_seconds)

    def families(self) -> Iterator[Metric]:
        """All families, read now, without the `_created` series: they double the counters and nobody reads them.

        prometheus_client can only switch those off for the whole interpreter, and its own text writer takes
        three times as long as collecting.
        """
        for family in self._registry.collect():
            family.samples = [sample for sample in family.samples if not sample.name.endswith("_created")]
            yield family
