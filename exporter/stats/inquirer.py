"""Commands in, bounded replies out, over one link; and what this server has refused on it.

What is refused is not asked again on the same connection: each refusal counts as an error on the server.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import redis

from exporter.errors import NodeError
from exporter.link import REPLY_TIMEOUT
from exporter.log import log
from exporter.reasons import reason_of
from exporter.stats.reply import Malformed, Oversized, Reader, Refusal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from exporter.link import Link
    from exporter.stats.questions import Command, Question
    from exporter.stats.reply import Reply


class Inquirer:
    """Asks one node; belongs to one thread.

    `refused` maps a question's name to what the server said; it is emptied by a new connection.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        self._logged: set[str] = set()
        self.refused: dict[str, str] = {}

    @property
    def is_open(self) -> bool:
        """Whether there is a connection."""
        return self._link.is_open

    def open(self) -> None:
        """Connect; what an earlier connection was refused may be tried again.

        Raises:
            NodeError: the node cannot be used.

        """
        self._link.open()
        self.refused.clear()

    def close(self) -> None:
        """Close the link."""
        self._link.close()

    def ask(self, *commands: Command) -> list[Reply]:
        """Send commands at once and read all of their replies; a refusal stands among them.

        Raises:
            Oversized: the last reply did not fit; the link is closed.
            NodeError: anything else that went wrong; the link is closed.

        """
        with self._border(commands[0][0]):
            sock = self._link.socket
            sock.settimeout(REPLY_TIMEOUT)
            sock.sendall(self._link.pack(*commands))
            reader = Reader(sock, REPLY_TIMEOUT)
            return [reader.read() for _ in commands]

    def info(self) -> bytes:
        """Everything that INFO says; the beginning of it, if it is longer than anything reasonable.

        Raises:
            NodeError: the node does not answer, or not with INFO's text; the link is closed.

        """
        try:
            [reply] = self.ask(("INFO", "ALL"))
        except Oversized as giant:
            self._log_once("INFO", "is too long, its beginning is used")
            return giant.start
        return self.demand("INFO", reply)

    def demand(self, command: str, reply: Reply) -> bytes:
        """The text of a reply that must be there.

        Raises:
            NodeError: it is an error, or no text; the link is closed.

        """
        if isinstance(reply, bytes):
            return reply
        self._link.close()
        if isinstance(reply, Refusal):
            raise self.fault(command, reply)
        reason, detail = reason_of(redis.RedisError())
        raise NodeError(self._link.node.addr, command, reason, detail)

    def fault(self, command: str, refusal: Refusal) -> NodeError:
        """A refusal as what it says about the whole node."""
        kind = redis.exceptions.NoPermissionError if refusal.text.startswith("NOPERM") else redis.ResponseError
        reason, detail = reason_of(kind(refusal.text))
        return NodeError(self._link.node.addr, command, reason, detail)

    def answers(self, question: Question, commands: Sequence[Command]) -> list[Reply] | None:
        """The replies to a question, None where any is refused.

        Raises:
            NodeError: the connection is lost.

        """
        if question.name in self.refused or not commands:
            return None
        exchanges = [(command,) for command in commands] if question.one_by_one else [commands]
        replies: list[Reply] = []
        for exchange in exchanges:
            try:
                replies += self.ask(*exchange)
            except Oversized:
                self._refuse(question.name, "the reply is too long")
                return None
            refusal = next((one for one in replies if isinstance(one, Refusal)), None)
            if refusal is not None:
                self._refuse(question.name, refusal.text)
                return None
        return replies

    def _refuse(self, name: str, text: str) -> None:
        self.refused[name] = text
        self._log_once(name, "refused" if text.startswith("NOPERM") else "not available")

    def _log_once(self, name: str, what: str) -> None:
        if name not in self._logged:
            self._logged.add(name)
            log.info("stats.refused", "some statistics are not collected", addr=self._link.node.addr,
                     target=self._link.node.target, command=name, why=what)  # fmt: skip

    @contextlib.contextmanager
    def _border(self, act: str) -> Iterator[None]:
        """Close the link on any failure, and make it one of ours."""
        try:
            self._link.open()
            yield
        except Oversized:
            self._link.close()
            raise
        except (Malformed, EOFError, OSError) as error:
            self._link.close()
            reason, detail = reason_of(redis.RedisError() if isinstance(error, Malformed) else error)
            raise NodeError(self._link.node.addr, act, reason, detail) from None
