"""All families of nodes, in the order in which they are written."""

from __future__ import annotations

from exporter.views import families, redis_families

SECTIONS = (*families.SECTIONS, *redis_families.SECTIONS)
