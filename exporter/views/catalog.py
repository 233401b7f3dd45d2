"""All families of nodes, in the order in which they are written."""

from __future__ import annotations

from exporter.views import (
    certificates,
    cluster_families,
    families,
    keyspace,
    native_families,
    redis_families,
    slot_families,
)

SECTIONS = (
    *families.SECTIONS,
    *cluster_families.SECTIONS,
    *certificates.SECTIONS,
    *keyspace.SECTIONS,
    *native_families.SECTIONS,
    *slot_families.SECTIONS,
    *redis_families.SECTIONS,
)
