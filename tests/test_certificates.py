"""What certificates say of themselves: read from files and from what is presented, and never a crash."""

from __future__ import annotations

import ssl
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.tls import certificates
from exporter.tls.connection import Negotiated
from tests.authority import DAY, Authority, until

if TYPE_CHECKING:
    from pathlib import Path


def test_names_and_times_are_those_of_the_certificate(tmp_path: Path) -> None:
    """Subject, issuer and validity are what another reader of the same file finds, also beyond 2050."""
    authority = Authority(tmp_path)
    for name, life in (("redis", DAY), ("later", 365 * 60 * DAY)):
        file, _ = authority.issue(name, "localhost", until=life)
        theirs = x509.load_pem_x509_certificate(file.read_bytes())
        [ours] = certificates.of_file(file)

        assert (ours.subject, ours.issuer) == (f"CN={name}", "CN=test ca")
        assert ours.not_before == theirs.not_valid_before_utc.timestamp()
        assert ours.not_after == theirs.not_valid_after_utc.timestamp()


def test_the_first_to_expire_counts(tmp_path: Path) -> None:
    """A bundle is as good as the certificate that expires first; what is no certificate is passed over."""
    authority = Authority(tmp_path)
    soon, _ = authority.issue("soon", until=timedelta(hours=1))
    bundle = tmp_path / "bundle.pem"
    broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    bundle.write_text(authority.ca.read_text() + broken + soon.read_text())

    assert certificates.not_after(certificates.of_file(bundle)) == until(soon)
    assert certificates.not_after([]) is None


def test_an_authority_is_no_part_of_what_is_presented(tmp_path: Path) -> None:
    """Redis presents its authority, too; that it expires says nothing about the server's certificate."""
    authority = Authority(tmp_path)
    leaf, _ = authority.issue("redis", "localhost", until=365 * DAY)
    chain = (*certificates.of_file(leaf), *certificates.of_file(authority.ca))

    assert Negotiated("TLSv1.3", "TLS_AES_256_GCM_SHA384", chain).not_after == until(leaf)


@settings(deadline=None)
@given(st.data())
def test_garbage_is_refused(data: st.DataObject) -> None:
    """Whatever bytes come, and whichever bytes of a good certificate are changed, at worst it is none."""
    der = data.draw(st.one_of(st.binary(max_size=64), _changed()))
    block = ssl.DER_cert_to_PEM_cert(der)

    assert len(certificates.of_pem([block])) in {0, 1}


@st.composite
def _changed(draw: st.DrawFn) -> bytes:
    der = bytearray(GOOD)
    for _ in range(draw(st.integers(1, 4))):
        der[draw(st.integers(0, len(der) - 1))] = draw(st.integers(0, 255))
    return bytes(der)


@pytest.fixture(scope="module", autouse=True)
def _good(tmp_path_factory: pytest.TempPathFactory) -> None:
    global GOOD  # noqa: PLW0603 - hypothesis and function fixtures do not go together
    GOOD = Authority(tmp_path_factory.mktemp("ca")).certificate.public_bytes(Encoding.DER)


GOOD = b""
