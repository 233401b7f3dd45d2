"""What went wrong with TLS: an error in, a reason of the closed set `TlsReason` and a sentence out.

No sentence holds a host name, a file name or what the other side said.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass

from exporter.errors import TlsReason

# OpenSSL's X509_V_ERR_… numbers, from its x509_vfy.h.
_UNKNOWN = (
    TlsReason.UNKNOWN_CA,
    "the server's certificate comes from an authority that is not trusted here (see ca_file)",
)
_VERIFICATION = {
    9: (TlsReason.NOT_YET_VALID, "the server's certificate is not valid yet; or a clock is wrong"),
    10: (TlsReason.EXPIRED, "the server's certificate has expired"),
    18: (TlsReason.UNKNOWN_CA, "the server's certificate is signed by itself; give it as ca_file to trust it"),
    19: _UNKNOWN,
    20: _UNKNOWN,
    21: _UNKNOWN,
    23: (TlsReason.REVOKED, "the server's certificate has been revoked"),
    62: (TlsReason.NAME_MISMATCH, "the server's certificate is for another host name (see server_name)"),
    64: (TlsReason.NAME_MISMATCH, "the server's certificate is for another IP address (see server_name)"),
    66: (TlsReason.WEAK, "the server's certificate uses a key or hash that is too weak"),
    67: (TlsReason.WEAK, "an authority of the server's certificate uses a key that is too weak"),
    68: (TlsReason.WEAK, "an authority of the server's certificate uses a hash that is too weak"),
}
_REFUSED = (TlsReason.CLIENT_CERTIFICATE_REFUSED, "the server refuses our client certificate")
_OLD = (TlsReason.PROTOCOL_TOO_OLD, "the server has no TLS version that is allowed here (see min_version)")
_PLAIN = (TlsReason.NOT_TLS, "the server does not speak TLS on this port")
WANTS_CERTIFICATE = (
    TlsReason.CLIENT_CERTIFICATE_MISSING,
    "the server wants a client certificate (see cert_file)",
)
NO_CIPHER = (TlsReason.NO_COMMON_CIPHER, "the server has no cipher that is allowed here (see cipher_suites)")
_CLOSED = (
    TlsReason.CLOSED,
    "the server closed the connection during the handshake; it may want a client certificate (see cert_file)",
)
_HANDSHAKE = (TlsReason.FAILED, "the server found no common cipher, or wants a client certificate (see cert_file)")
# Parts of OpenSSL's reason strings, most specific first; alerts are what the server told us.
_REASONS = {
    "CERTIFICATE_REQUIRED": WANTS_CERTIFICATE,
    "ALERT_UNKNOWN_CA": (
        TlsReason.CLIENT_CERTIFICATE_REFUSED, "the server does not trust the authority of our client certificate",
    ),
    "ALERT_CERTIFICATE_EXPIRED": (
        TlsReason.CLIENT_CERTIFICATE_REFUSED, "the server says that our client certificate has expired",
    ),
    "ALERT_CERTIFICATE_REVOKED": _REFUSED,
    "ALERT_BAD_CERTIFICATE": _REFUSED,
    "ALERT_CERTIFICATE_UNKNOWN": _REFUSED,
    "ALERT_HANDSHAKE_FAILURE": _HANDSHAKE,
    "NO_CIPHERS_AVAILABLE": NO_CIPHER,
    "PROTOCOL_VERSION": _OLD,
    "UNSUPPORTED_PROTOCOL": _OLD,
    "WRONG_SSL_VERSION": _OLD,
    "WRONG_VERSION_NUMBER": _PLAIN,
    "RECORD_LAYER_FAILURE": _PLAIN,
    "KEY_VALUES_MISMATCH": (TlsReason.FILES, "key_file does not belong to cert_file"),
    "NO_CERTIFICATE_OR_CRL_FOUND": (TlsReason.FILES, "ca_file holds no certificate"),
    "EE_KEY_TOO_SMALL": (TlsReason.FILES, "cert_file uses a key that is too weak"),
    "CA_MD_TOO_WEAK": (TlsReason.FILES, "cert_file uses a hash that is too weak"),
    "DH_KEY_TOO_SMALL": (TlsReason.WEAK, "the server's key exchange is too weak"),
    "PEM": (TlsReason.FILES, "ca_file, cert_file or key_file is not a PEM file of the expected kind"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class TlsFault:
    """Why there is no TLS connection."""

    reason: TlsReason
    words: str


class EncryptedKeyError(ssl.SSLError):
    """The private key needs a passphrase."""


class HandshakeError(ssl.SSLError):
    """A handshake failed for a reason that only who shook hands could see."""

    def __init__(self, reason: TlsReason, words: str) -> None:
        super().__init__(words)
        self.fault = TlsFault(reason, words)


def tls_fault(error: BaseException) -> TlsFault:
    """Say what went wrong; looks at the errors behind `error`, too."""
    seen: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in seen:
        if isinstance(link, ssl.SSLError):
            return _fault(link)
        seen.append(link)
        link = link.__cause__ or link.__context__
    if isinstance(error, FileNotFoundError | PermissionError | IsADirectoryError):
        return TlsFault(TlsReason.FILES, "ca_file, cert_file or key_file cannot be read")
    return TlsFault(TlsReason.FAILED, "the TLS connection failed")


def server_words(error: OSError) -> str:
    """Say why `server_context` failed."""
    if isinstance(error, ssl.SSLError):
        return _fault(error).words
    return "cert_file, key_file or client_ca_file cannot be read"


def _fault(error: ssl.SSLError) -> TlsFault:
    if isinstance(error, HandshakeError):
        return error.fault
    if isinstance(error, ssl.SSLCertVerificationError):
        spare = (TlsReason.FAILED, "the server's certificate is not acceptable")
        return TlsFault(*_VERIFICATION.get(error.verify_code, spare))
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return TlsFault(*_CLOSED)
    if isinstance(error, EncryptedKeyError):
        return TlsFault(TlsReason.FILES, "key_file is encrypted; it has to be without a passphrase")
    name = error.reason or str(error)  # OpenSSL gives a broken PEM file no reason of its own
    found = (fault for part, fault in _REASONS.items() if part in name)
    return TlsFault(*next(found, (TlsReason.FAILED, "the TLS handshake failed")))
