"""Whom we connect to over TLS, and whom not: a live Redis with every kind of certificate, and others who pretend."""

from __future__ import annotations

import json
import os
import ssl
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from exporter.config import Target
from exporter.errors import DownReason, NodeError, TlsReason
from exporter.topology import topology_of
from tests.authority import DAY, Authority, until
from tests.listener import Listener
from tests.servers import free_port
from tests.test_cli import cli

if TYPE_CHECKING:
    import socket
    from pathlib import Path

    from exporter.link import Link
    from tests.servers import Server, StartServer

PASSWORD = "c4n4ry-p4ssword"


class Deployment:
    """A Redis with TLS on a second port, certificates of `authority`, and a link to it as some target would have."""

    def __init__(self, directory: Path, start: StartServer) -> None:
        self.authority = Authority(directory, "ca")
        self.other = Authority(directory, "other-ca")
        self._start = start
        self.port = free_port()
        self.server: Server | None = None

    def serve(self, certificate: tuple[Path, Path], **settings: str) -> None:
        """Start Redis with this certificate and more of its settings (`tls_protocols` is `tls-protocols`)."""
        config = {
            "tls-port": f"{self.port}", "tls-cert-file": f"{certificate[0]}", "tls-key-file": f"{certificate[1]}",
            "tls-ca-cert-file": f"{self.authority.ca}", "tls-auth-clients": "no", "requirepass": PASSWORD,
            **{name.replace("_", "-"): value for name, value in settings.items()},
        }  # fmt: skip
        self.server = self._start(password=PASSWORD, config=config)

    def link(self, host: str = "localhost", **tls: Any) -> Link:
        """A new link, with these `tls` settings."""
        url = f"rediss://:{PASSWORD}@{host}:{self.port}"
        settings = {name: str(value) if name.endswith("_file") else value for name, value in tls.items()}
        topology = topology_of(Target.model_validate({"name": "cache", "url": url, "tls": settings}))
        return topology.link(topology.nodes()[0])

    def refusal(self, host: str = "localhost", **tls: Any) -> NodeError:
        """Why the connection is refused."""
        link = self.link(host, **tls)
        with pytest.raises(NodeError) as refused:
            link.open()
        assert not link.is_open
        assert refused.value.reason is DownReason.TLS
        return refused.value

    def greeting(self, host: str = "localhost", **tls: Any) -> tuple[Any, str]:
        """The server's answer to PING, and the TLS version."""
        link = self.link(host, **tls)
        try:
            reply = link.call("PING")
            assert link.negotiated is not None
            return reply, link.negotiated.version
        finally:
            link.close()


@pytest.fixture
def deployment(tmp_path: Path, start_server: StartServer) -> Deployment:
    """Two authorities, and a server that is not started yet."""
    return Deployment(tmp_path, start_server)


def test_the_right_authority(deployment: Deployment) -> None:
    """A certificate of the pinned authority is accepted, by name and by address, with TLS 1.3 and with 1.2."""
    deployment.serve(deployment.authority.issue("server", "localhost", "127.0.0.1"))
    ca = deployment.authority.ca

    assert deployment.greeting(ca_file=ca) == (b"PONG", "TLSv1.3")
    assert deployment.greeting("127.0.0.1", ca_file=ca) == (b"PONG", "TLSv1.3")
    assert deployment.greeting(ca_file=ca, min_version="1.3") == (b"PONG", "TLSv1.3")
    assert deployment.server is not None
    deployment.server.client().config_set("tls-protocols", "TLSv1.2")
    assert deployment.greeting(ca_file=ca) == (b"PONG", "TLSv1.2")


def test_the_wrong_authority_and_the_system(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another authority is not enough, nor are the system's; and where one is pinned, the system's do not count."""
    deployment.serve(deployment.authority.issue("server", "localhost"))

    assert deployment.refusal(ca_file=deployment.other.ca).tls is TlsReason.UNKNOWN_CA
    assert deployment.refusal().tls is TlsReason.UNKNOWN_CA
    monkeypatch.setenv("SSL_CERT_FILE", str(deployment.authority.ca))  # what OpenSSL takes for the system's
    assert deployment.greeting()[0] == b"PONG"
    assert deployment.refusal(ca_file=deployment.other.ca).tls is TlsReason.UNKNOWN_CA


@pytest.mark.parametrize(
    ("since", "until", "reason"),
    [(-2 * DAY, -DAY, TlsReason.EXPIRED), (DAY, 2 * DAY, TlsReason.NOT_YET_VALID)],
)
def test_not_at_this_time(deployment: Deployment, since: timedelta, until: timedelta, reason: TlsReason) -> None:
    """A certificate that has expired, or is not valid yet, is refused as that."""
    deployment.serve(deployment.authority.issue("server", "localhost", since=since, until=until))

    assert deployment.refusal(ca_file=deployment.authority.ca).tls is reason


def test_names(deployment: Deployment) -> None:
    """Another name is refused, an address that is not in the certificate too; `server_name` says what to look for."""
    deployment.serve(deployment.authority.issue("server", "redis.example", "127.0.0.2"))
    ca = deployment.authority.ca

    assert deployment.refusal(ca_file=ca).tls is TlsReason.NAME_MISMATCH
    assert deployment.refusal("127.0.0.1", ca_file=ca).tls is TlsReason.NAME_MISMATCH
    assert deployment.greeting("127.0.0.1", ca_file=ca, server_name="redis.example")[0] == b"PONG"


def test_old_protocols_and_weak_ciphers(deployment: Deployment) -> None:
    """A server of TLS 1.1 only, one below the own floor, and one whose ciphers are weak or not wanted, are refused."""
    deployment.serve(
        deployment.authority.issue("server", "localhost", old_rsa=True),
        tls_protocols="TLSv1.1", tls_ciphers="ALL:@SECLEVEL=0",
    )  # fmt: skip
    ca = deployment.authority.ca
    assert deployment.server is not None
    client = deployment.server.client()

    assert deployment.refusal(ca_file=ca).tls is TlsReason.PROTOCOL_TOO_OLD
    client.config_set("tls-protocols", "TLSv1.2")
    assert deployment.refusal(ca_file=ca, min_version="1.3").tls is TlsReason.PROTOCOL_TOO_OLD
    client.config_set("tls-ciphers", "AES128-SHA:@SECLEVEL=0")
    assert deployment.refusal(ca_file=ca).tls is TlsReason.NO_COMMON_CIPHER
    client.config_set("tls-ciphers", "ECDHE-RSA-AES128-GCM-SHA256")
    assert deployment.greeting(ca_file=ca)[0] == b"PONG"
    only = ["TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"]
    assert deployment.refusal(ca_file=ca, cipher_suites=only).tls is TlsReason.NO_COMMON_CIPHER


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_client_certificates(deployment: Deployment, version: str) -> None:
    """Without the certificate that the server wants, or with one that it does not like, the reason is that."""
    deployment.serve(
        deployment.authority.issue("server", "localhost"), tls_auth_clients="yes", tls_protocols=version,
    )  # fmt: skip
    ca = deployment.authority.ca
    good, strange = deployment.authority.issue("client"), deployment.other.issue("stranger")
    expired = deployment.authority.issue("late", until=timedelta(hours=-1))

    assert deployment.greeting(ca_file=ca, cert_file=good[0], key_file=good[1]) == (b"PONG", version)
    for _ in range(5):  # its reason and our first words cross on the way
        assert deployment.refusal(ca_file=ca).tls is TlsReason.CLIENT_CERTIFICATE_MISSING
    for cert, key in (strange, expired):
        refused = deployment.refusal(ca_file=ca, cert_file=cert, key_file=key)
        assert refused.tls is TlsReason.CLIENT_CERTIFICATE_REFUSED


def test_revoked_by_rotation(deployment: Deployment) -> None:
    """Once the pinned file holds another authority, certificates of the old one are refused."""
    deployment.serve(deployment.authority.issue("server", "localhost"))
    pinned = deployment.authority.ca.with_name("pinned.crt")
    pinned.write_bytes(deployment.authority.ca.read_bytes())
    link = deployment.link(ca_file=pinned)
    link.open()
    link.close()

    pinned.write_bytes(deployment.other.ca.read_bytes())
    with pytest.raises(NodeError) as refused:
        link.open()
    assert refused.value.tls is TlsReason.UNKNOWN_CA


class Impostor(Listener):
    """Somebody on the path: shakes hands with a certificate of its own, and remembers every byte that it is told."""

    def __init__(self, certificate: tuple[Path, Path] | None) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if certificate else None
        self.names: list[str | None] = []
        if self._context and certificate:
            self._context.load_cert_chain(*certificate)
            self._context.sni_callback = lambda _sock, name, _context: self.names.append(name)
        self.heard = b""
        self.seen = 0
        super().__init__()

    def meet(self, plain: socket.socket) -> None:
        """Shake hands where there is a certificate, and listen to the end."""
        self.seen += 1
        plain.settimeout(2)
        if self._context is None:
            self.heard += plain.recv(65536)
            plain.sendall(b"-ERR what?\r\n")
            return
        with self._context.wrap_socket(plain, server_side=True) as secured:
            while data := secured.recv(65536):
                self.heard += data


def test_an_impostor_hears_nothing(deployment: Deployment) -> None:
    """A man in the middle with a good certificate of another authority gets no byte of ours, let alone a password."""
    impostor = Impostor(deployment.other.issue("impostor", "localhost"))
    deployment.port = impostor.port
    try:
        assert deployment.refusal(ca_file=deployment.authority.ca).tls is TlsReason.UNKNOWN_CA
        assert deployment.refusal().tls is TlsReason.UNKNOWN_CA
    finally:
        impostor.close()
    assert (impostor.seen, impostor.heard) == (2, b"")
    assert impostor.names == ["localhost", "localhost"]


def test_a_server_without_tls(deployment: Deployment) -> None:
    """On a port without TLS all that is sent is the beginning of a handshake."""
    impostor = Impostor(None)
    deployment.port = impostor.port
    try:
        assert deployment.refusal(ca_file=deployment.authority.ca).tls is TlsReason.NOT_TLS
    finally:
        impostor.close()
    assert impostor.heard[:1] == b"\x16"  # a handshake record
    assert PASSWORD.encode() not in impostor.heard


def test_skipping_verification_is_spelled_out(deployment: Deployment) -> None:
    """With insecure_skip_verify, and with nothing else, an expired certificate for another name is accepted."""
    deployment.serve(deployment.other.issue("server", "redis.example", until=timedelta(hours=-1)))

    assert deployment.greeting(insecure_skip_verify=True)[0] == b"PONG"


def test_unusable_files(deployment: Deployment) -> None:
    """A file that is gone or half written is called that, and not taken for a server that is not there."""
    deployment.serve(deployment.authority.issue("server", "localhost"))
    half = deployment.authority.ca.with_name("half.crt")
    half.write_bytes(deployment.authority.ca.read_bytes()[:200])

    assert deployment.refusal(ca_file=half).tls is TlsReason.FILES
    assert deployment.refusal(ca_file=half.with_name("none.crt")).tls is TlsReason.FILES


def test_check_shows_what_was_negotiated(deployment: Deployment, tmp_path: Path) -> None:
    """`check` prints version, cipher and chain; of a chain that is refused, too, with the reason and exit code 2."""
    cert, key = deployment.authority.issue("server", "localhost")
    deployment.serve((cert, key))
    file = tmp_path / "config.yaml"
    url = f"rediss://:{PASSWORD}@localhost:{deployment.port}"
    tls = {"ca_file": str(deployment.authority.ca)}
    file.write_text(json.dumps({"targets": [{"name": "cache", "url": url, "tls": tls}]}))

    done = cli("check", "--json", "--config", str(file))
    assert done.returncode == 0, done.stdout + done.stderr
    [node] = json.loads(done.stdout)["nodes"]
    assert (node["tls"]["version"], node["tls"]["verified"], node["tls"]["reason"]) == ("TLSv1.3", True, "")
    assert node["tls"]["cipher"].startswith("TLS_")
    assert [one["subject"] for one in node["tls"]["chain"]][:1] == ["CN=server"]
    assert node["tls"]["chain"][0]["not_after"] == until(cert)
    text = cli("check", "--config", str(file)).stdout
    assert "TLSv1.3" in text
    assert "CN=server, by CN=test ca, valid from" in text

    file.write_text(
        json.dumps({"targets": [{"name": "cache", "url": url, "tls": {"ca_file": str(deployment.other.ca)}}]})
    )
    done = cli("check", "--json", "--config", str(file))
    assert done.returncode == 2
    [node] = json.loads(done.stdout)["nodes"]
    assert (node["reason"], node["tls"]["reason"], node["tls"]["verified"]) == ("tls", "unknown_ca", False)
    assert [one["issuer"] for one in node["tls"]["chain"]][:1] == ["CN=test ca"]
    assert PASSWORD not in done.stdout + done.stderr + os.fsdecode(text)
