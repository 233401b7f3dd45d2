"""Names of TLS cipher suites: those of IANA, as Prometheus and Go write them, in, and those of OpenSSL out."""

from __future__ import annotations

import re


def cipher(name: str) -> str | None:
    """OpenSSL's name of a cipher suite of Go's crypto/tls; "" for those of TLS 1.3, which cannot be chosen; or None."""
    if name in {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"}:
        return ""
    found = re.fullmatch(
        r"TLS_(ECDHE)_(RSA|ECDSA)_WITH_(?:(AES)_(128|256)_(GCM_SHA256|GCM_SHA384)|(CHACHA20_POLY1305)(?:_SHA256)?)",
        name,
    )
    if found is None:
        return None
    kind = found[6] or f"{found[3]}{found[4]}_{found[5]}"
    return f"{found[1]}-{found[2]}-{kind}".replace("_", "-")


def suite(value: object) -> str:
    """Check one name of a configuration; raises ValueError if it is not known."""
    if not isinstance(value, str) or cipher(value) is None:
        raise ValueError("must be a cipher suite such as TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384")
    return value
