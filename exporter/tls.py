"""TLS, to Redis and of our own endpoint: settings in, an SSL context out; an SSL error in, a readable reason out."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, NoReturn

from exporter.config.webfile import cipher

if TYPE_CHECKING:
    from exporter.config import Tls
    from exporter.config.webfile import TlsServer

_SERVER_VERSIONS = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
_MINIMUM = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}

# OpenSSL's X509_V_ERR_… numbers, from its x509_vfy.h.
_VERIFICATION = {
    9: "the server's certificate is not valid yet; or a clock is wrong",
    10: "the server's certificate has expired",
    18: "the server's certificate is signed by itself; give it as ca_file to trust it",
    19: "the server's certificate comes from an authority that is not trusted here (see ca_file)",
    20: "the server's certificate comes from an authority that is not trusted here (see ca_file)",
    21: "the server's certificate comes from an authority that is not trusted here (see ca_file)",
    23: "the server's certificate has been revoked",
    62: "the server's certificate is for another host name (see server_name)",
    64: "the server's certificate is for another IP address (see server_name)",
    66: "the server's certificate uses a key or hash that is too weak",
}
# Parts of OpenSSL's reason strings, most specific first; alerts are what the server told us.
_REASONS = {
    "CERTIFICATE_REQUIRED": "the server wants a client certificate (see cert_file)",
    "ALERT_UNKNOWN_CA": "the server does not trust the authority of our client certificate",
    "ALERT_CERTIFICATE_EXPIRED": "the server says that our client certificate has expired",
    "ALERT_BAD_CERTIFICATE": "the server refuses our client certificate",
    "ALERT_CERTIFICATE_UNKNOWN": "the server refuses our client certificate",
    "ALERT_HANDSHAKE_FAILURE": "the server found no common cipher, or wants a client certificate (see cert_file)",
    "PROTOCOL_VERSION": "the server has no TLS version that is allowed here (see min_version)",
    "UNSUPPORTED_PROTOCOL": "the server has no TLS version that is allowed here (see min_version)",
    "WRONG_VERSION_NUMBER": "the server does not speak TLS on this port",
    "RECORD_LAYER_FAILURE": "the server does not speak TLS on this port",
    "KEY_VALUES_MISMATCH": "key_file does not belong to cert_file",
    "NO_CERTIFICATE_OR_CRL_FOUND": "ca_file holds no certificate",
    "PEM": "ca_file, cert_file or key_file is not a PEM file of the expected kind",
}


def client_context(tls: Tls) -> ssl.SSLContext:
    """Build the context for one connection; built anew each time, it sees files that were rotated.

    With `ca_file` only that file is trusted: redis-py would add it to the system's authorities, each of which could
    then vouch for the server. Raises OSError (of which ssl.SSLError is one) if a file cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = _MINIMUM[tls.min_version]
    if tls.insecure_skip_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif tls.ca_file is not None:
        context.load_verify_locations(cafile=tls.ca_file)
    else:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    if tls.cert_file is not None:
        context.load_cert_chain(tls.cert_file, tls.key_file, password=_refuse_password)
    return context


def server_context(tls: TlsServer) -> ssl.SSLContext:
    """Build the context for those who connect to us. Raises OSError as `client_context` does."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version, context.maximum_version = (
        _SERVER_VERSIONS[tls.min_version],
        _SERVER_VERSIONS[tls.max_version],
    )
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    if not tls.prefer_server_cipher_suites:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    names = [name for suite in tls.cipher_suites if (name := cipher(suite))]
    context.set_ciphers(":".join(names) if names else "ECDHE+AESGCM:ECDHE+CHACHA20")
    context.load_cert_chain(tls.cert_file, tls.key_file, password=_refuse_password)
    if tls.client_ca_file is not None:
        context.load_verify_locations(cafile=tls.client_ca_file)
        required = tls.client_auth_type == "RequireAndVerifyClientCert"
        context.verify_mode = ssl.CERT_REQUIRED if required else ssl.CERT_OPTIONAL
    context.set_alpn_protocols(["http/1.1"])
    return context


def server_reason(error: OSError) -> str:
    """Say why `server_context` failed, without file names."""
    if isinstance(error, ssl.SSLError):
        return _reason(error)
    return "cert_file, key_file or client_ca_file cannot be read"


def tls_reason(error: BaseException) -> str:
    """Say in words what went wrong, without host names or file names; looks at the errors behind `error`, too."""
    seen: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in seen:
        if isinstance(link, ssl.SSLError):
            return _reason(link)
        seen.append(link)
        link = link.__cause__ or link.__context__
    if isinstance(error, FileNotFoundError | PermissionError | IsADirectoryError):
        return "ca_file, cert_file or key_file cannot be read"
    return "the TLS connection failed"


def _reason(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return _VERIFICATION.get(error.verify_code, "the server's certificate is not acceptable")
    if isinstance(error, ssl.SSLEOFError):
        return "the server closed the connection during the handshake; it may want a client certificate (see cert_file)"
    if isinstance(error, _EncryptedKeyError):
        return "key_file is encrypted; it has to be without a passphrase"
    name = error.reason or str(error)  # OpenSSL gives a broken PEM file no reason of its own
    return next((words for part, words in _REASONS.items() if part in name), "the TLS handshake failed")


class _EncryptedKeyError(ssl.SSLError):
    """The private key needs a passphrase."""


def _refuse_password() -> NoReturn:
    """Raise where OpenSSL would ask for a passphrase on the terminal and wait for it."""
    raise _EncryptedKeyError("the private key is encrypted")
