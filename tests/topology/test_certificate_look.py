"""When connections are renewed: after the files or the server's certificate have changed, and only if the new work."""

from __future__ import annotations

import os
import ssl
from typing import TYPE_CHECKING

import pytest

from exporter.config import Target
from exporter.link import OwnTraffic
from exporter.snapshot import Certificates, Node
from exporter.topology.certificates import LOOK_SECONDS, CertificateLook
from tests.authority import DAY, Authority, until
from tests.listener import Listener

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator
    from pathlib import Path


class Server(Listener):
    """Shakes hands with whoever comes, by the certificate of the moment, and waits for them to leave."""

    def __init__(self, pair: tuple[Path, Path]) -> None:
        self.pair = pair
        super().__init__()

    def meet(self, plain: socket.socket) -> None:
        """Shake hands."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.pair)
        plain.settimeout(5)
        with context.wrap_socket(plain, server_side=True) as secured:
            secured.recv(1)


class Case:
    """A look at a server, with a clock of its own."""

    def __init__(self, directory: Path) -> None:
        self.authority, self.other = Authority(directory), Authority(directory, "other")
        self.server = Server(self.authority.issue("one", "localhost", until=3 * DAY))
        self.ca = directory / "pinned.crt"
        self.pin(self.authority.ca.read_text())
        url = f"rediss://localhost:{self.server.port}"
        target = Target.model_validate({"name": "cache", "url": url, "tls": {"ca_file": str(self.ca)}})
        self.own, self.now = OwnTraffic(), 0.0
        self.published: list[Certificates] = []
        self.look = CertificateLook(
            Node("cache", target.endpoint.addr), target.endpoint, target.tls, self.own, self.published.append,
            lambda: self.now,
        )  # fmt: skip

    def pin(self, text: str) -> None:
        """Write the file of trusted authorities; each version has a time stamp of its own."""
        stamp = self.ca.stat().st_mtime_ns + 10**9 if self.ca.exists() else 10**18
        self.ca.write_text(text)
        os.utime(self.ca, ns=(stamp, stamp))

    def steps(self, count: int) -> int:
        """So many steps, a second apart; returns how often connections have been renewed so far."""
        for _ in range(count):
            self.look.step()
            self.now += 1
        return self.own.renewals


@pytest.fixture
def case(tmp_path: Path) -> Iterator[Case]:
    """A server and a look at it."""
    made = Case(tmp_path)
    yield made
    made.server.close()


def test_expiries_are_published(case: Case) -> None:
    """After the first look it is known when the presented certificate and the pinned authority expire."""
    assert case.steps(1) == 0
    [found] = case.published
    assert found.not_after == {"server": until(case.server.pair[0]), "ca": until(case.authority.ca)}
    assert found.verified
    assert found.version == "TLSv1.3"


def test_a_new_certificate_of_the_server_renews(case: Case) -> None:
    """Within five seconds of a rotation on the server connections are renewed, once."""
    case.steps(1)
    case.server.pair = case.authority.issue("two", "localhost")

    assert case.steps(int(LOOK_SECONDS)) == 1
    assert case.steps(12) == 1
    assert case.published[-1].not_after["server"] == until(case.server.pair[0])


def test_changed_files_renew_once_they_are_left_alone(case: Case) -> None:
    """While somebody still writes, nothing happens; two seconds later the connections are renewed."""
    case.steps(1)
    case.pin(case.authority.ca.read_text() + case.other.ca.read_text())
    assert case.steps(1) == 0
    case.pin(case.authority.ca.read_text() + "\n" + case.other.ca.read_text())
    assert case.steps(1) == 0
    assert case.steps(1) == 1


def test_unusable_files_leave_connections_alone(case: Case) -> None:
    """Half a file renews nothing; the whole one does."""
    case.steps(1)
    case.pin(case.authority.ca.read_text()[:100])
    assert case.steps(8) == 0
    case.pin(case.authority.ca.read_text())
    assert case.steps(3) == 1


def test_who_is_not_trusted_any_more_is_left(case: Case) -> None:
    """When the pinned authority is another one, connections to a server of the old one do not live on."""
    case.steps(1)
    case.pin(case.other.ca.read_text())

    assert case.steps(3) == 1


def test_a_server_that_is_gone_renews_nothing(case: Case) -> None:
    """Who cannot be reached has changed nothing."""
    case.steps(1)
    case.server.close()

    assert case.steps(12) == 0
