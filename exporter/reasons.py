"""Why a node cannot be used: an error that talking to it raised comes in, a reason and words go out (pure)."""

from __future__ import annotations

import socket
import ssl

import redis

from exporter.errors import DownReason
from exporter.tls import tls_fault


def down_by_reply(reply: Exception) -> DownReason | None:
    """What an error reply says about the whole node, or None if it is about one command."""
    text = f"{getattr(reply, 'status_code', None) or ''} {reply}"
    known = {
        "NOAUTH": DownReason.AUTH,
        "WRONGPASS": DownReason.AUTH,
        "invalid password": DownReason.AUTH,
        "Authentication required": DownReason.AUTH,
        "max number of clients": DownReason.MAXCLIENTS,
        "LOADING": DownReason.LOADING,
        "DENIED": DownReason.PROTECTED,
    }
    return next((reason for sign, reason in known.items() if sign in text), None)


def reason_of(error: BaseException) -> tuple[DownReason, str]:
    """The reason and a readable detail for any error that talking to a node can raise.

    redis-py turns socket errors into its own and keeps the original as context, so the whole chain is read.
    """
    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in chain:
        chain.append(link)
        link = link.__cause__ or link.__context__
    for fault in chain:
        match fault:
            case ssl.SSLError():
                return DownReason.TLS, tls_fault(fault).words
            case socket.gaierror():
                return DownReason.DNS, "the host name cannot be resolved"
            case ConnectionRefusedError() | FileNotFoundError():
                return DownReason.REFUSED, "nothing listens there"
            case TimeoutError() | redis.TimeoutError():
                return DownReason.TIMEOUT, "no answer in time"
            case ConnectionResetError() | BrokenPipeError() | EOFError():
                return DownReason.CLOSED, _DETAILS[DownReason.CLOSED]
    return _reason_of_reply(error)


def _reason_of_reply(error: BaseException) -> tuple[DownReason, str]:
    down = down_by_reply(error) if isinstance(error, Exception) else None
    if down is None:
        kinds = ((kind, reason) for kind, reason in _REASONS.items() if isinstance(error, kind))
        down = next((reason for _, reason in kinds), DownReason.UNREACHABLE)
    if down is DownReason.PROTOCOL and isinstance(error, redis.ConnectionError) and "closed" in str(error).lower():
        down = DownReason.CLOSED
    return down, _DETAILS[down]


# Special before general: redis-py's errors inherit from each other.
_REASONS: dict[type[Exception], DownReason] = {
    redis.AuthenticationError: DownReason.AUTH,
    redis.exceptions.AuthorizationError: DownReason.AUTH,
    redis.BusyLoadingError: DownReason.LOADING,
    redis.exceptions.NoPermissionError: DownReason.NOPERM,
    redis.RedisError: DownReason.PROTOCOL,
}
_DETAILS = {
    DownReason.AUTH: "user name or password is wrong, or one is required",
    DownReason.MAXCLIENTS: "the server has reached maxclients",
    DownReason.LOADING: "the server is loading its data set",
    DownReason.PROTECTED: "the server runs in protected mode and refuses other hosts",
    DownReason.NOPERM: "the user lacks a permission",
    DownReason.CLOSED: "the server closed the connection",
    DownReason.PROTOCOL: "the answer is not what Redis would say",
    DownReason.UNREACHABLE: "the host cannot be reached",
}
