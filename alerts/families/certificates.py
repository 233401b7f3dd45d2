"""Do certificates end soon? Where the server says when (Valkey 9.1 and newer)."""

from __future__ import annotations

from alerts.rule import Alert, Family

FAMILY = Family(
    "certificates",
    "Certificates",
    alerts=(
        Alert(
            "RedisCertificateExpires",
            "redis_tls_server_cert_expires_in_seconds < $certificate_seconds "
            "or redis_tls_ca_cert_expires_in_seconds < $certificate_seconds",
            "1h",
            "warning",
            "A certificate of a Redis server ends soon.",
            "A certificate of {{ $labels.addr }} ({{ $labels.target }}) ends in {{ $value | humanizeDuration }}.",
            "When it ends, no TLS client can connect any more.",
            "renewal does not work; the server was not told to load the new file",
            "renew; `CONFIG SET tls-cert-file` with the same path loads it without a restart",
            topic="certificate",
        ),
        Alert(
            "RedisCertificateExpiresNow",
            "redis_tls_server_cert_expires_in_seconds < $certificate_urgent_seconds "
            "or redis_tls_ca_cert_expires_in_seconds < $certificate_urgent_seconds",
            "10m",
            "critical",
            "A certificate of a Redis server is about to end.",
            "A certificate of {{ $labels.addr }} ({{ $labels.target }}) ends in {{ $value | humanizeDuration }}.",
            "When it ends, no TLS client can connect any more.",
            "as of [RedisCertificateExpires](RedisCertificateExpires.md), and nobody acted",
            "as of RedisCertificateExpires, today",
            topic="certificate",
        ),
    ),
)
