"""The warming jobs: their states come in, a table with the progress of running ones goes out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.views.markup import Html, tag
from exporter.views.page.drawing import bar
from exporter.views.page.panels import cell, panel, table
from exporter.views.words import quantity, share, span

if TYPE_CHECKING:
    from exporter.views.page.known import Known
    from exporter.views.reading import Moment
    from exporter.warmth import JobState

MOST_JOBS = 50
_COLUMNS = ("job", "now", "last run", "keys written.number", "in the cache", "read later.number")


def job_panel(known: Known) -> Html:
    """Write all jobs, those that run first; an empty section where there is none."""
    if not known.jobs:
        return tag("section", at={"id": "warming"})
    jobs = sorted(known.jobs, key=lambda job: not job.running)[:MOST_JOBS]
    rows = [_row(job, known.now) for job in jobs]
    return panel("warming", "Cache warming", None, table("jobs", "warming jobs", _COLUMNS, rows))


def _row(job: JobState, now: Moment) -> Html:
    last, use = job.last, job.use
    read = f"{quantity(use.useful)} of {quantity(use.useful + use.wasted)}" if use.useful + use.wasted else None
    coverage = last.coverage if last else None
    covered = None if coverage is None else tag("div", bar(coverage), tag("span", share(coverage)))
    return tag(
        "tr",
        tag("th", tag("code", job.job_name), tag("small", job.target), at={"scope": "row"}),
        cell("progress", "now", _state(job)),
        cell("last", "last run", _last(job, now)),
        cell("number", "keys written", quantity(last.keys.get("written", 0)) if last else None),
        cell("share", "in the cache", covered),
        cell("number", "read later", read),
        at={"data-key": job.job_name},
    )


def _state(job: JobState) -> Html | str:
    if not job.running:
        return "idle" if job.leader or not job.run_count else "another exporter's turn"
    done = sum((job.progress or {}).values())
    # A source does not say how much it has. The last run tells about how much that is.
    expected = sum(job.last.keys.values()) if job.last else 0
    if expected and done <= expected:
        meter = tag(
            "progress", at={"value": str(done), "max": str(expected), "aria-label": f"progress of {job.job_name}"}
        )
        return tag("span", meter, f" {quantity(done)} of about {quantity(expected)} keys")
    return f"running, {quantity(done)} keys so far"


def _last(job: JobState, now: Moment) -> Html | None:
    last = job.last
    if last is None:
        return None
    # The largest unit only: what is read should not tick.
    ago = " ".join(span(max(0.0, now.wall - last.started_at - last.seconds)).split(" ")[:2])
    kind = "" if last.outcome in {"complete", "not_leader"} else ".warning"
    why = f"{last.reason}: {last.detail}" if last.reason and last.detail else last.reason or ""
    return tag(
        "span",
        tag(f"span.chip{kind}", last.outcome),
        f" {ago} ago, took {span(last.seconds)}",
        tag("small", why) if why else None,
    )
