"""What a certificate says of itself: PEM or DER in, whose it is, by whom, and from when to when out.

Python's ssl module tells this only of certificates that it has verified, and not of the file that we present. What is
read here decides nothing: whether a certificate is good is OpenSSL's matter.
"""

from __future__ import annotations

import hashlib
import re
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from exporter.config.files import read_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

MAX_FILE_BYTES = 1 << 20
_BLOCK = re.compile(rb"-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----")
_SEQUENCE, _SET, _VERSION, _UTC_TIME, _GENERALIZED_TIME, _BMP_STRING = 0x30, 0x31, 0xA0, 0x17, 0x18, 0x1E
# Parts of a name that people know (X.520), by the DER of their object identifiers.
_PARTS = {b"\x55\x04\x03": "CN", b"\x55\x04\x0a": "O", b"\x55\x04\x0b": "OU"}
_MAX_NAME = 128


@dataclass(frozen=True, slots=True)
class Certificate:
    """One X.509 certificate; times in seconds since 1970, `fingerprint` is the SHA-256 of its DER in hex."""

    subject: str
    issuer: str
    not_before: float
    not_after: float
    fingerprint: str

    @property
    def validity(self) -> tuple[float, float]:
        """From when to when it is valid."""
        return self.not_before, self.not_after


def of_der(der: bytes) -> Certificate:
    """Read one certificate (RFC 5280, section 4.1). Raises ValueError if it is none."""
    [whole] = _children(der, 0, len(der))
    signed = next(_children(der, whole[1], whole[2]))
    fields = [field for field in _children(der, signed[1], signed[2]) if field[0] != _VERSION]
    if len(fields) < 6 or any(fields[place][0] != _SEQUENCE for place in (1, 2, 3, 4)):
        raise ValueError("not a certificate")
    _, _, issuer, validity, subject, *_ = fields
    since, until = (_time(der, *one) for one in _children(der, validity[1], validity[2]))
    return Certificate(_name(der, subject), _name(der, issuer), since, until, hashlib.sha256(der).hexdigest())


def of_file(path: Path) -> tuple[Certificate, ...]:
    """Read all certificates of a PEM file; raises OSError if it cannot be read. What is none is left out."""
    return of_pem(_BLOCK.findall(read_bytes(path, MAX_FILE_BYTES)))


def of_pem(blocks: Iterable[bytes | str]) -> tuple[Certificate, ...]:
    """Read PEM blocks; what is no certificate is left out."""
    found: list[Certificate] = []
    for block in blocks:
        try:
            found.append(of_der(ssl.PEM_cert_to_DER_cert(block if isinstance(block, str) else block.decode())))
        except (ValueError, StopIteration, IndexError):
            continue
    return tuple(found)


def not_after(certificates: Iterable[Certificate]) -> float | None:
    """When the first of these expires; None if there is none."""
    return min((one.not_after for one in certificates), default=None)


def _children(der: bytes, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """The elements between two places: (tag, start of the content, end of the content). Raises ValueError."""
    while at < end:
        if end - at < 2:
            raise ValueError("an element is cut")
        tag, length, at = der[at], der[at + 1], at + 2
        if length & 0x80:
            size = length & 0x7F
            if not 1 <= size <= 4 or at + size > end:
                raise ValueError("an element has no usable length")
            length, at = int.from_bytes(der[at : at + size]), at + size
        if at + length > end:
            raise ValueError("an element is longer than what holds it")
        yield tag, at, at + length
        at += length


def _time(der: bytes, tag: int, start: int, end: int) -> float:
    text = der[start:end].decode("ascii")
    if tag == _UTC_TIME:
        text = f"{'19' if text[:2] >= '50' else '20'}{text}"
    elif tag != _GENERALIZED_TIME:
        raise ValueError("not a time")
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()


def _name(der: bytes, name: tuple[int, int, int]) -> str:
    """Write a distinguished name as `CN=…, O=…`, printable and of bounded length."""
    shown: list[str] = []
    for tag, start, end in _children(der, name[1], name[2]):
        if tag != _SET:
            raise ValueError("not a name")
        for _, inner, outer in _children(der, start, end):
            kind, value = list(_children(der, inner, outer))[:2]
            if (part := _PARTS.get(der[kind[1] : kind[2]])) is not None:
                coding = "utf-16-be" if value[0] == _BMP_STRING else "utf-8"
                shown.append(f"{part}={der[value[1] : value[2]].decode(coding, 'replace')}")
    text = ", ".join(sorted(shown, key=lambda one: not one.startswith("CN=")))
    return "".join(one if one.isprintable() else "?" for one in text)[:_MAX_NAME] or "(no name)"
