"""What the process counts about itself."""

from __future__ import annotations

import pytest

from exporter.meters import Meters


def value(meters: Meters, name: str, **labels: str) -> float | None:
    """The value of one sample, None where there is none."""
    for family in meters.families():
        for sample in family.samples:
            if sample.name == name and sample.labels == labels:
                return sample.value
    return None


def test_the_version_is_published() -> None:
    """As a label of a gauge that is 1."""
    assert value(Meters("1.2.3"), "hotkey_exporter_build_info", version="1.2.3") == 1


def test_a_run_is_measured_and_counted() -> None:
    """Its duration, its outcome, and when it last succeeded; failures are there as 0, so that the first one shows."""
    meters = Meters("0")
    with meters.job("enrich"):
        pass
    assert value(meters, "hotkey_exporter_job_runs_total", job_name="enrich", outcome="complete") == 1
    assert value(meters, "hotkey_exporter_job_runs_total", job_name="enrich", outcome="failed") == 0
    assert value(meters, "hotkey_exporter_job_seconds_count", job_name="enrich") == 1
    assert (value(meters, "hotkey_exporter_job_last_success_timestamp_seconds", job_name="enrich") or 0) > 1.7e9


def test_a_failed_run_is_counted_and_raises_on() -> None:
    """The error is the caller's; it is counted and is no success."""
    meters = Meters("0")
    with pytest.raises(ValueError, match="no"), meters.job("enrich"):
        raise ValueError("no")
    assert value(meters, "hotkey_exporter_job_runs_total", job_name="enrich", outcome="failed") == 1
    assert value(meters, "hotkey_exporter_job_seconds_count", job_name="enrich") == 1
    assert value(meters, "hotkey_exporter_job_last_success_timestamp_seconds", job_name="enrich") is None


def test_log_lines_are_counted_by_level() -> None:
    """In any case, and every level is there from the start."""
    meters = Meters("0")
    meters.log_event("WARNING")
    meters.log_event("warning")
    assert value(meters, "hotkey_exporter_log_events_total", level="warning") == 2
    assert value(meters, "hotkey_exporter_log_events_total", level="error") == 0


def test_the_process_is_measured() -> None:
    """Memory and CPU of this process."""
    assert (value(Meters("0"), "process_resident_memory_bytes") or 0) > 1_000_000


def test_two_meters_share_nothing() -> None:
    """Each has its own registry."""
    one, other = Meters("0"), Meters("0")
    one.log_event("info")
    assert value(other, "hotkey_exporter_log_events_total", level="info") == 0


def test_no_series_tells_when_it_was_created() -> None:
    """Those of prometheus_client would double the counters."""
    meters = Meters("0")
    with meters.job("enrich"):
        pass
    names = {sample.name for family in meters.families() for sample in family.samples}
    assert not [name for name in names if name.endswith("_created")]
