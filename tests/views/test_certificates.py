"""TLS as metrics: one line for each role, none for what is not known."""

from __future__ import annotations

from exporter.snapshot import Certificates, Node
from exporter.views import certificates
from exporter.views.exposition import Format, compose

SHOP = Node("shop", "h:6379")


def test_every_role_is_a_line() -> None:
    """Roles of servers carry target and addr, those of our own endpoint do not; families stay contiguous."""
    servers = {
        SHOP: Certificates({"server": 1e9, "ca": 2e9}, "TLSv1.3", "TLS_AES_256_GCM_SHA384", verified=True),
        Node("queue", "q:1"): Certificates({}, "", "", verified=False),
    }
    text = compose(Format.TEXT, certificates.families(servers, {"web": 3e9})).decode()
    lines = [line for line in text.splitlines() if not line.startswith("#")]

    assert lines == [
        'redis_tls_certificate_not_after_timestamp_seconds{target="shop",addr="h:6379",role="server"} 1000000000',
        'redis_tls_certificate_not_after_timestamp_seconds{target="shop",addr="h:6379",role="ca"} 2000000000',
        'redis_tls_certificate_not_after_timestamp_seconds{role="web"} 3000000000',
        'redis_tls_insecure_skip_verify{target="queue",addr="q:1"} 1',
        'redis_tls_insecure_skip_verify{target="shop",addr="h:6379"} 0',
        'redis_tls_connection_info{target="shop",addr="h:6379",version="TLSv1.3",cipher="TLS_AES_256_GCM_SHA384"} 1',
    ]


def test_one_target() -> None:
    """With `target=` only its lines are written, and without TLS none at all."""
    servers = {SHOP: Certificates({"server": 1e9}, "", "", verified=True)}

    assert b"shop" in compose(Format.TEXT, certificates.families(servers, {}, "shop"))
    assert compose(Format.TEXT, certificates.families(servers, {}, "queue")) == b""
