"""SSL contexts: settings in, a context for one connection out, made of the files as they are now."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, NoReturn

from exporter.config.ciphers import cipher
from exporter.tls.faults import EncryptedKeyError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from exporter.config import Tls
    from exporter.config.webfile import TlsServer

_SERVER_VERSIONS = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
_MINIMUM = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


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
    if tls.cipher_suites:
        context.set_ciphers(_openssl(tls.cipher_suites))
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
    context.set_ciphers(_openssl(tls.cipher_suites))
    context.load_cert_chain(tls.cert_file, tls.key_file, password=_refuse_password)
    if tls.client_ca_file is not None:
        context.load_verify_locations(cafile=tls.client_ca_file)
        required = tls.client_auth_type == "RequireAndVerifyClientCert"
        context.verify_mode = ssl.CERT_REQUIRED if required else ssl.CERT_OPTIONAL
    context.set_alpn_protocols(["http/1.1"])
    return context


def _openssl(suites: Iterable[str]) -> str:
    """OpenSSL's list of the suites of TLS 1.2 among these (1.3 leaves no choice); without any, all good ones."""
    names = [name for suite in suites if (name := cipher(suite))]
    return ":".join(names) if names else "ECDHE+AESGCM:ECDHE+CHACHA20"


def _refuse_password() -> NoReturn:
    """Raise where OpenSSL would ask for a passphrase on the terminal and wait for it."""
    raise EncryptedKeyError("the private key is encrypted")
