"""redis_exporter's families, by its names: tables of rows, pure functions of a node's `ServerStats`.

To add a field of INFO, add a line to `info_fields`. Names, types, labels and help are those of redis_exporter (1.45.0
and newer, github.com/oliver006/redis_exporter), so that dashboards and alerts go on working; where it errs,
`docs/metrics.md` says what differs.
"""

from __future__ import annotations

from exporter.views.redis_families import commands, info_fields, one_scrape, replication, server

SECTIONS = (*info_fields.SECTIONS, *commands.SECTIONS, *server.SECTIONS, *replication.SECTIONS, *one_scrape.SECTIONS)
