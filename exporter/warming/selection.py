"""Which keys a job warms: what is known of the target in, the selected keys in the order of warming out. Pure."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from exporter.config.warming import WarmingJob

Ranked = tuple[int, bytes, float]
"""A database, a key in it, and how often it is asked for (per second)."""


def selected(
    job: WarmingJob, db: int, hot: Iterable[Ranked], saved: Iterable[Ranked], missed: Iterable[Ranked]
) -> tuple[bytes, ...] | None:
    """The keys that a job asks its source for, most wanted first; None where it takes what its source lists.

    `saved` are the keys that were hot before a start; they count only while the window is still empty.
    """
    if job.select is None:
        return None
    window = list(hot)
    wanted: list[Sequence[Ranked]] = []
    if job.select in {"missed", "all"}:
        wanted.append(list(missed))
    if job.select in {"hot", "all"}:
        wanted.append(window or list(saved))
    keys: dict[bytes, None] = {}
    for ranked in wanted:
        for at, key, _ in sorted(ranked, key=lambda one: -one[2]):
            if at == db and takes(job, key):
                keys.setdefault(key)
    return tuple(keys)[: job.max_keys]


def takes(job: WarmingJob, key: bytes) -> bool:
    """Whether a key is one that this job can warm: its template, or the pattern of its source, matches."""
    text = key.decode("utf-8", "surrogateescape")
    if job.key is not None:
        return job.key.match(text) is not None
    return job.source.match is None or fnmatchcase(text, job.source.match)
