"""One TLS connection: a context and an address in, a socket and what was negotiated out."""

from __future__ import annotations

import contextlib
import socket
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from redis.connection import Connection

from exporter.tls import certificates
from exporter.tls.contexts import client_context
from exporter.tls.faults import NO_CIPHER, WANTS_CERTIFICATE, HandshakeError

if TYPE_CHECKING:
    from exporter.config import Endpoint, Tls
    from exporter.tls.certificates import Certificate

VERDICT_SECONDS = 0.1
"""How long a server of TLS 1.3 may take to refuse a certificate after its side of the handshake."""


@dataclass(frozen=True, slots=True)
class Negotiated:
    """What both sides agreed on, and the certificates that the server presented, its own first."""

    version: str
    cipher: str
    chain: tuple[Certificate, ...]

    @property
    def not_after(self) -> float | None:
        """When the first of the presented certificates expires; an authority's own is not part of the proof."""
        proof = [one for place, one in enumerate(self.chain) if place == 0 or one.subject != one.issuer]
        return certificates.not_after(proof)


class TlsConnection(Connection):
    """A redis-py connection over our own TLS context, which pins a private CA instead of adding it to the system's.

    No byte of ours but the handshake's is sent before the server's certificate was found good.
    """

    def __init__(self, tls: Tls, server_name: str, **settings: Any) -> None:
        super().__init__(**settings)  # type: ignore[no-untyped-call]
        self._tls = (client_context(tls), server_name)
        self.negotiated: Negotiated | None = None

    def _connect(self) -> socket.socket:
        context, server_name = self._tls
        plain: socket.socket = super()._connect()  # type: ignore[no-untyped-call]
        secured = shaken(plain, context, server_name)
        self.negotiated = negotiated(secured)
        return secured


def shaken(plain: socket.socket, context: ssl.SSLContext, server_name: str) -> ssl.SSLSocket:
    """Shake hands over a connected socket, with SNI where the name is no address; closes it and raises OSError else."""
    secured = context.wrap_socket(plain, server_hostname=server_name, do_handshake_on_connect=False)
    try:
        secured.do_handshake()
    except ssl.SSLError as error:
        chosen = secured.cipher()
        secured.close()
        if "HANDSHAKE_FAILURE" in (error.reason or ""):
            # Before a cipher is chosen it is for want of one; afterwards (TLS 1.2) for want of a certificate.
            raise HandshakeError(*(NO_CIPHER if chosen is None else WANTS_CERTIFICATE)) from None
        raise
    except OSError:
        secured.close()
        raise
    return secured


def negotiated(secured: ssl.SSLSocket) -> Negotiated:
    """What was agreed on over a connection that has shaken hands."""
    name, _, _ = secured.cipher() or ("", "", 0)
    return Negotiated(secured.version() or "", name, certificates.of_pem(_presented(secured)))


def look(tls: Tls, endpoint: Endpoint, timeout: float, *, patient: bool = True) -> Negotiated:
    """Shake hands and leave without a word: what the server presents; if `patient`, also whether it takes what we do.

    Raises:
        OSError: it cannot be reached, or one of the two is not content with the other.

    """
    context = client_context(tls)
    with socket.create_connection((endpoint.host, endpoint.port), timeout) as plain:
        secured = shaken(plain, context, tls.server_name or endpoint.host)
        with secured:
            found = negotiated(secured)
            if patient and found.version == "TLSv1.3":
                # There the client is ready before the server has seen its certificate: a refusal comes as an alert.
                secured.settimeout(VERDICT_SECONDS)
                with contextlib.suppress(TimeoutError):
                    if not secured.recv(1):
                        raise ssl.SSLEOFError(8, "closed after the handshake")
            return found


def _presented(secured: ssl.SSLSocket) -> list[str]:
    """The presented chain as PEM."""
    public: Any = getattr(secured, "get_unverified_chain", None)
    if public is not None:  # Python 3.13 and newer
        return [ssl.DER_cert_to_PEM_cert(der) for der in public()]
    inner: Any = secured._sslobj  # type: ignore[attr-defined]
    return [certificate.public_bytes() for certificate in inner.get_unverified_chain() or ()]
