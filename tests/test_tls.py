"""TLS: whom a context trusts, and what a failed handshake is called. Handshakes run in memory."""

from __future__ import annotations

import ssl
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from exporter.config import Tls
from exporter.tls import client_context, tls_fault

if TYPE_CHECKING:
    from collections.abc import Callable

FILES = Path(__file__).parent / "data" / "tls"


def tls(**settings: Any) -> Tls:
    """TLS settings with the files of tests/data/tls."""
    return Tls.model_validate(
        {name: FILES / value if name.endswith("_file") else value for name, value in settings.items()}
    )


def server_context(certificate: str = "server", client_ca: str | None = None) -> ssl.SSLContext:
    """A server with one of the certificates; with `client_ca` it demands one of its clients."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(FILES / f"{certificate}.pem", FILES / f"{certificate}.key")
    if client_ca:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(FILES / client_ca)
    return context


def handshake(client: ssl.SSLContext, server: ssl.SSLContext, name: str = "localhost") -> str | None:
    """Shake hands in memory and exchange a byte; returns the TLS version, raises what the client gets to see."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(to_client, to_server, server_hostname=name)
    theirs = server.wrap_bio(to_server, to_client, server_side=True)
    pending: dict[ssl.SSLObject, list[Callable[[], object]]] = {
        ours: [ours.do_handshake, partial(ours.read, 1)],
        theirs: [theirs.do_handshake, partial(theirs.write, b"x")],
    }
    for side in [ours, theirs] * 5:
        try:
            while pending[side]:
                pending[side][0]()
                del pending[side][0]
        except ssl.SSLWantReadError:
            continue
        except ssl.SSLError:
            if side is ours:
                raise
            pending[side] = []  # the server gives up, its alert is on the way to us
    assert not pending[ours]
    return ours.version()


def reason_of(client: ssl.SSLContext, server: ssl.SSLContext, name: str = "localhost") -> str:
    """The words for a handshake that must fail."""
    with pytest.raises(ssl.SSLError) as failed:
        handshake(client, server, name)
    return tls_fault(failed.value).words


def test_a_private_authority_is_trusted_alone() -> None:
    """With ca_file no other authority can vouch for the server: the system's are not loaded."""
    context = client_context(tls(ca_file="ca.pem"))

    (authority,) = context.get_ca_certs()
    assert isinstance(authority, dict)
    assert authority["subject"] == ((("commonName", "ca"),),)
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert handshake(context, server_context()) == "TLSv1.3"


def test_without_a_file_the_system_decides() -> None:
    """Without ca_file the name and the chain are still checked."""
    context = client_context(tls())

    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert reason_of(context, server_context()).endswith(
        "comes from an authority that is not trusted here (see ca_file)"
    )


def test_unknown_authority() -> None:
    """A certificate of somebody else's authority is refused, and the words say where to look."""
    words = reason_of(client_context(tls(ca_file="other-ca.pem")), server_context())

    assert words == "the server's certificate comes from an authority that is not trusted here (see ca_file)"


def test_expired() -> None:
    """An expired certificate is called that."""
    words = reason_of(client_context(tls(ca_file="ca.pem")), server_context("expired"))

    assert words == "the server's certificate has expired"


@pytest.mark.parametrize(("name", "kind"), [("other", "host name"), ("127.0.0.2", "IP address")])
def test_wrong_name(name: str, kind: str) -> None:
    """A certificate for another name or address is refused."""
    words = reason_of(client_context(tls(ca_file="ca.pem")), server_context(), name)

    assert words == f"the server's certificate is for another {kind} (see server_name)"


def test_skipping_verification_has_to_be_asked_for() -> None:
    """insecure_skip_verify accepts what nothing else does."""
    context = client_context(tls(insecure_skip_verify=True))

    assert handshake(context, server_context("expired"), "other") == "TLSv1.3"


def test_client_certificate() -> None:
    """A server that demands a certificate gets ours, and without one the words say so."""
    server = server_context(client_ca="ca.pem")
    good = client_context(tls(ca_file="ca.pem", cert_file="client.pem", key_file="client.key"))

    assert handshake(good, server) == "TLSv1.3"
    words = reason_of(client_context(tls(ca_file="ca.pem")), server_context(client_ca="ca.pem"))
    assert words == "the server wants a client certificate (see cert_file)"


def test_client_certificate_of_an_unknown_authority() -> None:
    """A server that does not know our authority is quoted."""
    client = client_context(tls(ca_file="ca.pem", cert_file="client.pem", key_file="client.key"))

    words = reason_of(client, server_context(client_ca="other-ca.pem"))
    assert words == "the server does not trust the authority of our client certificate"


def test_old_protocols() -> None:
    """The floor is TLS 1.2, and can be raised."""
    old = server_context()
    old.maximum_version = ssl.TLSVersion.TLSv1_2

    assert client_context(tls()).minimum_version is ssl.TLSVersion.TLSv1_2
    assert handshake(client_context(tls(ca_file="ca.pem")), old) == "TLSv1.2"
    words = reason_of(client_context(tls(ca_file="ca.pem", min_version="1.3")), old)
    assert words == "the server has no TLS version that is allowed here (see min_version)"


def test_a_server_without_tls() -> None:
    """A plain port is recognised by its answer."""
    incoming = ssl.MemoryBIO()
    client = client_context(tls(ca_file="ca.pem")).wrap_bio(incoming, ssl.MemoryBIO(), server_hostname="localhost")
    incoming.write(b"-ERR unknown command\r\n")

    with pytest.raises(ssl.SSLError) as failed:
        client.do_handshake()
    assert tls_fault(failed.value).words == "the server does not speak TLS on this port"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"ca_file": "missing.pem"}, "ca_file, cert_file or key_file cannot be read"),
        ({"ca_file": "README.md"}, "ca_file holds no certificate"),
        ({"cert_file": "client.pem", "key_file": "server.key"}, "key_file does not belong to cert_file"),
        (
            {"cert_file": "client.pem", "key_file": "encrypted.key"},
            "key_file is encrypted; it has to be without a passphrase",
        ),
        (
            {"cert_file": "README.md", "key_file": "client.key"},
            "ca_file, cert_file or key_file is not a PEM file of the expected kind",
        ),
    ],
)
def test_unusable_files(settings: dict[str, str], words: str) -> None:
    """A file that is missing, of another kind, of another pair or encrypted is an OSError with a reason."""
    with pytest.raises(OSError, match=r".") as failed:
        client_context(tls(**settings))

    assert tls_fault(failed.value).words == words


def test_reason_is_found_behind_other_errors() -> None:
    """redis-py wraps what the socket raised; the reason is still found, and a cycle does no harm."""
    inner = ssl.SSLEOFError(8, "EOF occurred in violation of protocol")
    outer = ConnectionError("Error 8 while writing to socket")
    outer.__context__ = inner
    inner.__context__ = outer

    assert "may want a client certificate" in tls_fault(outer).words
    assert tls_fault(ConnectionError("x")).words == "the TLS connection failed"
