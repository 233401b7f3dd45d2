"""Do certificates end soon? Those that we see and use ourselves, and those of which a server says when (Valkey 9.1)."""

from __future__ import annotations

from alerts.rule import Alert, Family

LEFT = "redis_tls_certificate_not_after_timestamp_seconds - time()"
# What a server says of itself counts where we do not see its certificate: without TLS, or through a proxy.
SAID = (
    "(redis_tls_server_cert_expires_in_seconds < {limit} or redis_tls_ca_cert_expires_in_seconds < {limit}) "
    'unless on ($on) redis_tls_certificate_not_after_timestamp_seconds{{role="server"}}'
)
WHOSE = "{{ with $labels.role }}{{ . }} {{ end }}certificate of {{ with $labels.addr }}{{ . }}{{ else }}the exporter{{ end }}"
DESCRIPTION = f"The {WHOSE} ({{{{ $labels.target }}}}) ends in {{{{ $value | humanizeDuration }}}}."


def _expression(limit: str) -> str:
    return f"{LEFT} < {limit} or {SAID.format(limit=limit)}"


FAMILY = Family(
    "certificates",
    "Certificates",
    alerts=(
        Alert(
            "RedisCertificateExpires",
            _expression("$certificate_seconds"),
            "1h",
            "warning",
            "A certificate ends soon.",
            DESCRIPTION,
            "When it ends, no TLS client can connect any more; with the exporter's own, nobody can scrape it.",
            "renewal does not work; the server was not told to load the new file",
            "`role` says whose it is: `server` is what Redis presents, `client` and `ca` are our files, `web` is our endpoint; "
            "renew it; `CONFIG SET tls-cert-file` with the same path makes Redis load it without a restart, ours are read again "
            "by themselves",
            labels=("job", "instance"),
            topic="certificate",
        ),
        Alert(
            "RedisCertificateExpiresNow",
            _expression("$certificate_urgent_seconds"),
            "10m",
            "critical",
            "A certificate is about to end.",
            DESCRIPTION,
            "When it ends, no TLS client can connect any more; with the exporter's own, nobody can scrape it.",
            "as of [RedisCertificateExpires](RedisCertificateExpires.md), and nobody acted",
            "as of RedisCertificateExpires, today",
            labels=("job", "instance"),
            topic="certificate",
        ),
    ),
)
