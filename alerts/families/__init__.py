"""All rules, by family, in the order of the runbooks' table of contents."""

from __future__ import annotations

from alerts.families import (
    certificates,
    clients,
    cluster,
    hotkeys,
    memory,
    performance,
    persistence,
    pipeline,
    replication,
    slo,
    state,
    warming,
)

FAMILIES = (
    pipeline.FAMILY,
    state.FAMILY,
    slo.FAMILY,
    replication.FAMILY,
    cluster.FAMILY,
    memory.FAMILY,
    clients.FAMILY,
    performance.FAMILY,
    persistence.FAMILY,
    hotkeys.FAMILY,
    warming.FAMILY,
    certificates.FAMILY,
)
