"""What can go wrong, as a tree: each error carries data, and its text names the act and the thing.

ExporterError
├── ConfigError      the configuration, the command line or a secret file is unusable   exit 2
├── NoRoom           there are as many guests of `/scrape` as there may be              503
├── CommandFailed    a command could not do its work                                    exit 1
└── NodeError        a Redis or Valkey node did not do what we asked                    redis_down_info
    ├── MonitorRefused   MONITOR itself is forbidden, renamed or unsupported            redis_sampling_source_info
    └── ScanRefused      SCAN or what it needs is forbidden or unsupported              redis_keyspace_state_info

Errors of redis-py and of sockets become a NodeError in `topology`, and nowhere else.
No message ever holds a configured value, a URL or a reply that could carry a secret.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ExporterError(Exception):
    """Every error this project raises on purpose."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with the configuration: where (a dotted path), and what."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class ConfigError(ExporterError):
    """The configuration is unusable; carries every problem at once."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("; ".join(map(str, problems)))
        self.problems = problems


class NoRoom(ExporterError):
    """As many servers that are not configured are watched as may be."""


class CommandFailed(ExporterError):
    """A command of the command line could not do its work."""


class DownReason(StrEnum):
    """Why a node cannot be used: the closed set of `redis_down_info{reason}`."""

    REFUSED = "refused"
    TIMEOUT = "timeout"
    DNS = "dns"
    TLS = "tls"
    AUTH = "auth"
    NOPERM = "noperm"
    LOADING = "loading"
    MAXCLIENTS = "maxclients"
    PROTECTED = "protected"
    CLOSED = "closed"
    UNREACHABLE = "unreachable"
    PROTOCOL = "protocol"
    SECRET = "secret"  # noqa: S105 - the word, not one
    STARTING = "starting"


class TlsReason(StrEnum):
    """Why there is no TLS connection: the closed set of `redis_tls_down_info{reason}`."""

    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    UNKNOWN_CA = "unknown_ca"
    NAME_MISMATCH = "name_mismatch"
    REVOKED = "revoked"
    WEAK = "weak"
    CLIENT_CERTIFICATE_MISSING = "client_certificate_missing"
    CLIENT_CERTIFICATE_REFUSED = "client_certificate_refused"
    PROTOCOL_TOO_OLD = "protocol_too_old"
    NO_COMMON_CIPHER = "no_common_cipher"
    NOT_TLS = "not_tls"
    FILES = "files"
    CLOSED = "closed"
    FAILED = "failed"


class NodeError(ExporterError):
    """A node did not do what we asked; `reason` is what the outside may see, `tls` more of it where that is TLS."""

    def __init__(self, addr: str, act: str, reason: DownReason, detail: str = "", tls: TlsReason | None = None) -> None:
        super().__init__(f"{addr}: {act}: {detail or reason.value}")
        self.addr = addr
        self.reason = reason
        self.tls = tls


class MonitorRefused(NodeError):
    """The node answers, but not to MONITOR; `why` is a value of `redis_sampling_source_info{reason}`."""

    def __init__(self, addr: str, why: str, detail: str) -> None:
        super().__init__(addr, "MONITOR", DownReason.NOPERM, detail)
        self.why = why


class ScanRefused(NodeError):
    """The node answers, but not to SCAN; `why` is a value of `redis_keyspace_state_info{reason}`."""

    def __init__(self, addr: str, act: str, why: str) -> None:
        super().__init__(addr, act, DownReason.NOPERM, why)
        self.why = why
