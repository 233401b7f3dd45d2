"""The certificates of the way to one server: files and handshakes in, `Certificates` and renewals of connections out.

Every few seconds, and soon after one of our files has changed, we shake hands with the server and leave without a word.
When that shows other certificates than before, on either side, all connections to the server are replaced at their next
use. Files that cannot be used, as while somebody is writing them, leave the connections alone.
"""

from __future__ import annotations

import math
import ssl
import time
from typing import TYPE_CHECKING

from exporter.errors import TlsReason
from exporter.log import Changes, log
from exporter.snapshot import Certificates
from exporter.tls import certificates, tls_fault
from exporter.tls.connection import look

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from exporter.config import Endpoint, Tls
    from exporter.link import OwnTraffic
    from exporter.snapshot import Node
    from exporter.tls.connection import Negotiated

STEP_SECONDS = 1.0
LOOK_SECONDS = 5.0
LOOK_TIMEOUT = 0.5
# Whoever presents such a certificate is not who we take it for, whatever it was when we connected.
_DISTRUSTED = frozenset({TlsReason.UNKNOWN_CA, TlsReason.NAME_MISMATCH, TlsReason.REVOKED})
Stamp = tuple[object, ...]


class CertificateLook:
    """Looks after the certificates of one server. Belongs to one thread."""

    def __init__(
        self, node: Node, endpoint: Endpoint, tls: Tls, own: OwnTraffic, publish: Callable[[Certificates], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._node = node
        self._endpoint = endpoint
        self._tls = tls
        self._own = own
        self._publish = publish
        self._clock = clock
        self._stamp: Stamp = ()
        self._seen: tuple[Stamp, str] | None = None
        self._refused: Stamp | None = None
        self._looked_at = -math.inf
        self._found: Negotiated | None = None
        self._changes = Changes()

    def steps(self) -> Generator[float, None, None]:
        """Look again and again; yields the seconds until the next step."""
        while True:
            self.step()
            yield STEP_SECONDS

    def step(self) -> None:
        """Look, if it is time; files have to have been left alone for a moment, and are looked at then."""
        now, stamp = self._clock(), _stamp(self._files())
        settled, self._stamp = stamp == self._stamp, stamp
        changed = self._seen is not None and stamp not in {self._seen[0], self._refused}
        if (changed and settled) or (not changed and now - self._looked_at >= LOOK_SECONDS):
            self._looked_at = now
            self._look(stamp)

    def _look(self, stamp: Stamp) -> None:
        try:
            found = look(self._tls, self._endpoint, LOOK_TIMEOUT, patient=self._tls.cert_file is not None)
        except OSError as error:
            self._failed(error, stamp)
        else:
            self._found, self._refused = found, None
            self._note(stamp, found.chain[0].fingerprint if found.chain else "")
            self._changes.changed("look", None)
        self._publish(self._certificates())

    def _note(self, stamp: Stamp, presented: str) -> None:
        """Remember what is in use; if it is not what was, have the connections renewed."""
        before, self._seen = self._seen, (stamp, presented)
        if before is None or before == self._seen:
            return
        self._own.renew()
        log.info("tls.renewed", "certificates have changed, connections are renewed", target=self._node.target,
                 addr=self._node.addr, files=before[0] != stamp, server=before[1] != presented)  # fmt: skip

    def _failed(self, error: OSError, stamp: Stamp) -> None:
        fault = tls_fault(error)
        if fault.reason in _DISTRUSTED:
            self._note(stamp, fault.reason.value)
            return
        new = self._seen is not None and self._seen[0] != stamp
        if new and (isinstance(error, ssl.SSLError) or fault.reason is TlsReason.FILES):
            # The prober does not say this: its connection is older than these files.
            self._refused = stamp
            if self._changes.changed("look", (stamp, fault.reason)):
                log.warning("tls.files_unusable", "new certificate files cannot be used, connections stay as they are",
                            target=self._node.target, addr=self._node.addr, reason=fault.reason.value,
                            detail=fault.words)  # fmt: skip

    def _certificates(self) -> Certificates:
        files = {"client": self._tls.cert_file, "ca": self._tls.ca_file}
        dates = {role: _not_after(path) for role, path in files.items() if path is not None}
        if self._found is not None:
            dates = {"server": self._found.not_after, **dates}
        return Certificates(
            not_after={role: date for role, date in dates.items() if date is not None},
            version=self._found.version if self._found else "",
            cipher=self._found.cipher if self._found else "",
            verified=not self._tls.insecure_skip_verify,
        )

    def _files(self) -> tuple[Path, ...]:
        return tuple(path for path in (self._tls.ca_file, self._tls.cert_file, self._tls.key_file) if path is not None)


def _not_after(path: Path) -> float | None:
    try:
        return certificates.not_after(certificates.of_file(path))
    except OSError:
        return None


def _stamp(files: tuple[Path, ...]) -> Stamp:
    """What is another one as soon as one of the files is."""
    stamps: list[object] = []
    for path in files:
        try:
            found = path.stat()
            stamps.append((found.st_mtime_ns, found.st_size, found.st_ino))
        except OSError:
            stamps.append(None)
    return tuple(stamps)
