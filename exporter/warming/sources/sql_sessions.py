"""Sessions with a database: a job's settings in, read-only connections that are bounded in time out.

PostgreSQL through psycopg, MySQL and MariaDB through PyMySQL, SQLite through Python itself; SQLAlchemy speaks to all.
"""

from __future__ import annotations

import contextlib
import math
import os
import socket
import sqlite3
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from exporter.config.files import read_secret
from exporter.warming.items import SourceError, SourceReason

if TYPE_CHECKING:
    from exporter.config.warming import WarmingJob

KEPT_SECONDS = 60.0
"""How long a session for short questions is used again: after that there may be a new password, or another server."""
_DRIVERS = {
    "postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg",
    "mysql": "mysql+pymysql", "mariadb": "mariadb+pymysql",
}  # fmt: skip


class Sessions:
    """The sessions of one source, each opened with the password as it is then.

    `in_use` is the driver's connection while somebody waits for it: whoever does may be cut off from another thread.
    """

    def __init__(self, job: WarmingJob) -> None:
        self._settings = job.source
        self._run_seconds = job.timeout
        self._engine: sa.Engine | None = None
        self._kept: sa.Connection | None = None
        self._kept_since = 0.0
        self.in_use: Any = None
        self.was_cut = False

    @property
    def dialect(self) -> sa.Dialect:
        """How the database wants its names quoted."""
        self._engine = self._engine or self._made()
        return self._engine.dialect

    def streaming(self) -> sa.Connection:
        """A new session whose results come as they are fetched."""
        # The options come last: the statements before are none that a cursor on the server's side could run.
        return self._opened().execution_options(stream_results=True)

    def asking(self) -> tuple[sa.Connection, bool]:
        """A session without transactions for short questions, and whether it was used before."""
        if self._kept is not None and time.monotonic() - self._kept_since < KEPT_SECONDS:
            self.in_use = self._kept.connection.dbapi_connection
            return self._kept, True
        self.drop()
        self._kept = self._opened().execution_options(isolation_level="AUTOCOMMIT")
        self._kept_since = time.monotonic()
        return self._kept, False

    def drop(self) -> None:
        """Close the session for short questions. Never raises."""
        kept, self._kept = self._kept, None
        if kept is not None:
            with contextlib.suppress(Exception):
                kept.close()

    def cut(self) -> None:
        """Cut off whoever waits: shutting its socket down is what every driver notices, whatever it waits for."""
        raw, self.was_cut = self.in_use, True
        with contextlib.suppress(Exception):
            if isinstance(raw, sqlite3.Connection):
                raw.interrupt()
            elif hasattr(raw, "fileno"):
                with socket.socket(fileno=os.dup(raw.fileno())) as wire:
                    wire.shutdown(socket.SHUT_RDWR)
            elif raw is not None:
                raw._sock.shutdown(socket.SHUT_RDWR)

    def abandon(self, connection: sa.Connection) -> None:
        """Drop a connection whose result was not read to its end."""
        self.cut()
        unread = getattr(self.in_use, "_result", None)
        if unread is not None:
            # PyMySQL would read all that is left before it lets go of a cursor.
            unread.unbuffered_active = False
        connection.invalidate()

    def close(self) -> None:
        """Let go of everything."""
        self.drop()
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    def _opened(self) -> sa.Connection:
        """Connect, and make the session read-only and bounded in time."""
        self._engine = self._engine or self._made()
        connection = self._engine.connect()
        self.in_use = connection.connection.dbapi_connection
        try:
            for statement in self._limits(connection):
                connection.exec_driver_sql(statement)
            connection.commit()
        except BaseException:
            connection.close()
            raise
        return connection

    def _limits(self, connection: sa.Connection) -> tuple[str, ...]:
        match connection.dialect.name:
            case "postgresql":
                silence = math.ceil(1000 * self._settings.timeout)
                return (
                    f"SET statement_timeout = {silence}",
                    "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
                )
            case "mysql" | "mariadb":
                # These count a whole statement, the time that we take to read it included.
                limit = f"max_statement_time = {self._run_seconds:g}"
                if not getattr(connection.dialect, "is_mariadb", False):
                    limit = f"max_execution_time = {math.ceil(1000 * self._run_seconds)}"
                return (f"SET SESSION {limit}", "SET SESSION TRANSACTION READ ONLY")
        return ("PRAGMA query_only = ON",)

    def _made(self) -> sa.Engine:
        assert self._settings.url is not None
        url = sa.make_url(self._settings.url.get_secret_value())
        backend = url.drivername.partition("+")[0]
        if backend == "sqlite":
            return sa.create_engine("sqlite://", creator=lambda: _sqlite(url.database or "", self._settings.timeout),
                                    poolclass=NullPool)  # fmt: skip
        arguments: dict[str, Any] = {"connect_timeout": max(2, math.ceil(self._settings.timeout))}
        if backend in {"mysql", "mariadb"}:
            arguments |= {"read_timeout": max(1, math.ceil(self._settings.timeout))}
        else:
            # Behind a pool of connections (PgBouncer) the next statement may come to another session.
            arguments |= {"prepare_threshold": None}
        engine = sa.create_engine(url.set(drivername=_DRIVERS[backend]), poolclass=NullPool, connect_args=arguments)
        if url.password is None and self._settings.password_file is not None:
            sa.event.listen(engine, "do_connect", self._with_password)
        return engine

    def _with_password(self, _dialect: Any, _record: Any, _arguments: Any, parameters: dict[str, Any]) -> None:
        """Read the password when it is needed. Raises SourceError."""
        assert self._settings.password_file is not None
        try:
            parameters["password"] = read_secret(self._settings.password_file)
        except OSError as error:
            raise SourceError(SourceReason.AUTH, f"password_file {error.strerror}") from None


def _sqlite(path: str, timeout: float) -> sqlite3.Connection:
    """Open a SQLite file for reading only; the default would make a new one where there is none."""
    return sqlite3.connect(f"file:{quote(path)}?mode=ro", uri=True, timeout=timeout, check_same_thread=False)
