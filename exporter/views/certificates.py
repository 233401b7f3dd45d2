"""TLS as metrics: when certificates expire, what was negotiated, and why there is no connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.errors import DownReason
from exporter.views.exposition import Family, encode, label, labels, line
from exporter.views.families import Collect, Row, Section

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from exporter.snapshot import Certificates, Node
    from exporter.views.families import Samples, Sheet

NOT_AFTER = Family(
    "redis_tls_certificate_not_after_timestamp_seconds",
    "gauge",
    "When the first certificate of this role expires: server (what it presents), client and ca (our files), web (our "
    "own endpoint; the ca without target is that of its clients).",
)
UNVERIFIED = Family(
    "redis_tls_insecure_skip_verify", "gauge", "1 where any certificate is accepted, 0 where it is verified."
)
CONNECTION = Family(
    "redis_tls_connection_info", "gauge", "TLS version and cipher that were negotiated when last looked at."
)
FAMILIES = (NOT_AFTER, UNVERIFIED, CONNECTION)


def _down(sheet: Sheet) -> Samples:
    status = sheet.reading.status
    if sheet.reading.down != DownReason.TLS or status is None or not status.tls_reason:
        return ()
    return [(label("reason", status.tls_reason), 1)]


SECTIONS = (
    Section(
        Collect.STATS,
        lambda reading: (reading.status, reading.down),
        (
            Row(
                Family(
                    "redis_tls_down_info",
                    "gauge",
                    "Why there is no TLS connection; present only while the node is down for it.",
                ),
                _down,
            ),
        ),
    ),
)


def families(
    servers: Mapping[Node, Certificates], web: Mapping[str, float], target: str | None = None
) -> list[tuple[Family, Sequence[bytes]]]:
    """Write the families of all servers (or those of one target), and the expiries of our own endpoint."""
    known = [(node, found) for node, found in sorted(servers.items()) if target in {None, node.target}]
    dates = [_dated(_base(node), found.not_after) for node, found in known]
    return [
        (NOT_AFTER, [*dates, _dated("", web)]),
        (UNVERIFIED, [encode(line(UNVERIFIED.name, _base(node), int(not found.verified))) for node, found in known]),
        (CONNECTION, [_connection(node, found) for node, found in known if found.version]),
    ]


def _base(node: Node) -> str:
    return labels((("target", node.target), ("addr", node.addr)))


def _dated(base: str, dates: Mapping[str, float]) -> bytes:
    joined: Iterable[str] = (
        line(NOT_AFTER.name, ",".join(filter(None, (base, label("role", role)))), date) for role, date in dates.items()
    )
    return encode("".join(joined))


def _connection(node: Node, found: Certificates) -> bytes:
    more = labels((("version", found.version), ("cipher", found.cipher)))
    return encode(line(CONNECTION.name, f"{_base(node)},{more}", 1))
