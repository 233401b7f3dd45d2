"""Basic authentication: an Authorization header in, yes or no out, without telling which users exist.

bcrypt is slow on purpose, so one check runs at a time, in a thread, and what was right is remembered, keyed by a secret
of this process. An unknown user costs as much time as a known one.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from collections import Counter, OrderedDict
from typing import TYPE_CHECKING

from anyio import CapacityLimiter, to_thread

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_PASSWORD_BYTES = 72
"""bcrypt sees no more; a longer password is refused instead of being cut."""
MAX_REMEMBERED = 100
MAX_WAITING, MAX_WAITING_EACH = 32, 8
"""More guesses than this at once, of all clients and of one address, are not even checked."""


class TooBusyError(Exception):
    """So many passwords are being checked that this one is not."""


class Passwords:
    """The users and their bcrypt hashes. `verified` belongs to one event loop."""

    def __init__(self, users: Mapping[str, str]) -> None:
        self._users = {name.encode(): hashed.encode() for name, hashed in users.items()}
        self._cost = max((_cost(hashed) for hashed in self._users.values()), default=10)
        self._secret = secrets.token_bytes(32)
        self._remembered: OrderedDict[bytes, None] = OrderedDict()
        self._limiter: CapacityLimiter | None = None
        self._waiting: Counter[str] = Counter()

    def __bool__(self) -> bool:
        return bool(self._users)

    async def verified(self, authorization: str, client: str = "") -> bool:
        """Whether an Authorization header, sent from the address `client`, names a user and the right password.

        Raises:
            TooBusyError: too many are being checked.

        """
        credentials = _credentials(authorization)
        if credentials is None:
            return False
        mark = hmac.digest(self._secret, b"\0".join((len(credentials[0]).to_bytes(4, "big"), *credentials)), "sha256")
        if mark in self._remembered:
            self._remembered.move_to_end(mark)
            return True
        if not await self._checked(*credentials, client):
            return False
        self._remembered[mark] = None
        if len(self._remembered) > MAX_REMEMBERED:
            self._remembered.popitem(last=False)
        return True

    async def _checked(self, user: bytes, password: bytes, client: str) -> bool:
        if self._waiting.total() >= MAX_WAITING or self._waiting[client] >= MAX_WAITING_EACH:
            raise TooBusyError
        # Made here because it belongs to the running loop.
        self._limiter = self._limiter or CapacityLimiter(1)
        self._waiting[client] += 1
        try:
            return await to_thread.run_sync(self._check, user, password, limiter=self._limiter)
        finally:
            self._waiting[client] -= 1
            self._waiting = +self._waiting

    def _check(self, user: bytes, password: bytes) -> bool:
        import bcrypt  # noqa: PLC0415 - only who has users needs it

        known = self._users.get(user)
        fits = len(password) <= MAX_PASSWORD_BYTES and b"\0" not in password
        hashed = known or _nobody(self._cost)
        same = bcrypt.checkpw(password if fits else b"", hashed)
        # A cost is an exponent of two: all those up to the highest one add up to the work for somebody who has that.
        for cost in range(_cost(hashed), self._cost):
            bcrypt.checkpw(b"", _nobody(cost))
        return same and fits and known is not None


def _cost(hashed: bytes) -> int:
    return int(hashed[4:6])


def _nobody(cost: int) -> bytes:
    """A hash that no password has."""
    return b"$2b$%02d$" % cost + b"." * 53


def _credentials(authorization: str) -> tuple[bytes, bytes] | None:
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
    except (binascii.Error, ValueError):
        return None
    return (user, password) if colon else None
