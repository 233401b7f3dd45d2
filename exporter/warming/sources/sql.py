"""A database as a source: rows of one SELECT, streamed, in a read-only session with a time limit on the server's side.

PostgreSQL through psycopg, MySQL and MariaDB through PyMySQL, SQLite through Python itself; SQLAlchemy speaks to all.
"""

from __future__ import annotations

import contextlib
import math
import os
import socket
import sqlite3
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from exporter.config.files import read_secret
from exporter.config.queries import Query
from exporter.warming.items import Copy, Found, SourceError, SourceReason
from exporter.warming.policy import Policy
from exporter.warming.sources.sql_errors import source_error

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from exporter.config.warming import WarmingJob

EVERYTHING = 2**31 - 1
_DRIVERS = {
    "postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg",
    "mysql": "mysql+pymysql", "mariadb": "mariadb+pymysql",
}  # fmt: skip


class SqlSource:
    """The rows of one SELECT. A connection lasts for one reading, and is opened with the password as it is then."""

    ordered = True
    by_key = False

    def __init__(self, job: WarmingJob) -> None:
        assert job.source.url is not None
        assert job.source.query is not None
        self._settings = job.source
        self._run_seconds = job.timeout
        self._rows_at_once = job.batch
        self._query = Query.parse(job.source.query)
        self._policy = Policy.of(job)
        self._engine: sa.Engine | None = None
        self._raw: Any = None

    def records(self, limit: int, offset: int) -> Iterator[Found]:
        """The rows in the order of the query. Raises SourceError."""
        parameters: dict[str, Any] = {}
        known, text = self._query.parameters, self._query.statement
        skip = 0
        if "limit" in known:
            # The query does its own cutting; what it cannot leave out is left out here.
            skip = 0 if "offset" in known else offset
            parameters = {"limit": limit + skip, **({"offset": offset} if "offset" in known else {})}
        else:
            if self._query.limited or "offset" in known:
                text = f"SELECT * FROM ({text}) AS warm"  # noqa: S608 - the query is the operator's own
                parameters |= {"offset": 0} if "offset" in known else {}
            text += "\nLIMIT :warm_limit" + (" OFFSET :warm_offset" if offset else "")
            parameters |= {"warm_limit": limit, **({"warm_offset": offset} if offset else {})}
        for at, row in enumerate(self._rows(sa.text(text), parameters)):
            if at >= skip:
                yield row

    def lookup(self, keys: Sequence[bytes]) -> Iterator[Found]:
        """The rows whose key is among `keys`. Raises SourceError."""
        template = self._policy.template
        assert template is not None
        wanted = [fields for key in keys if (fields := template.match(key.decode("utf-8", "surrogateescape")))]
        if not wanted:
            return iter(())
        known = {"limit": EVERYTHING, "offset": 0}
        parameters: dict[str, Any] = {name: known[name] for name in self._query.parameters}
        quoted = self._dialect().identifier_preparer.quote
        if len(template.fields) == 1:
            name = template.fields[0]
            condition, parameters["warm_keys"] = f"warm.{quoted(name)} IN :warm_keys", [one[name] for one in wanted]
        else:
            clauses = []
            for at, fields in enumerate(wanted):
                clauses.append(" AND ".join(f"warm.{quoted(name)} = :warm_{at}_{name}" for name in fields))
                parameters |= {f"warm_{at}_{name}": value for name, value in fields.items()}
            condition = " OR ".join(f"({clause})" for clause in clauses)
        statement = sa.text(f"SELECT * FROM ({self._query.statement}) AS warm WHERE {condition}")  # noqa: S608
        if "warm_keys" in parameters:
            statement = statement.bindparams(sa.bindparam("warm_keys", expanding=True))
        return self._rows(statement, parameters)

    def plain(self, keys: Sequence[bytes]) -> list[Copy]:  # noqa: ARG002 - rows are no copies
        """Nothing: rows are no copies."""
        return []

    def interrupt(self) -> None:
        """Cut the connection off: shutting its socket down is what every driver notices, whatever it waits for."""
        raw = self._raw
        with contextlib.suppress(Exception):
            if isinstance(raw, sqlite3.Connection):
                raw.interrupt()
            elif hasattr(raw, "fileno"):
                with socket.socket(fileno=os.dup(raw.fileno())) as wire:
                    wire.shutdown(socket.SHUT_RDWR)
            elif raw is not None:
                raw._sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Let go of the engine."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    def _rows(self, statement: sa.TextClause, parameters: Mapping[str, Any]) -> Iterator[Found]:
        """Run a statement and stream its rows as mappings."""
        try:
            with self._connected() as connection:
                finished = False
                try:
                    result = connection.execute(statement, parameters)
                    columns = tuple(result.keys())
                    for name in self._policy.needed:
                        if name not in columns:
                            raise SourceError(SourceReason.FIELD, f"the query has no column {name}")
                    for rows in result.partitions(self._rows_at_once):
                        for row in rows:
                            yield dict(zip(columns, row, strict=True))
                    finished = True
                finally:
                    if not finished:
                        self._abandon(connection)
        except (SQLAlchemyError, OSError, sqlite3.Error) as error:
            cause: BaseException = error.orig or error if isinstance(error, DBAPIError) else error
            raise source_error(cause) from None
        finally:
            self._raw = None

    def _abandon(self, connection: sa.Connection) -> None:
        """Drop a connection whose result was not read to its end."""
        self.interrupt()
        unread = getattr(self._raw, "_result", None)
        if unread is not None:
            # PyMySQL would read all that is left before it lets go of a cursor.
            unread.unbuffered_active = False
        connection.invalidate()

    def _connected(self) -> sa.Connection:
        """Connect, and make the session read-only and bounded in time."""
        self._engine = self._engine or self._made()
        connection = self._engine.connect()
        self._raw = connection.connection.dbapi_connection
        try:
            for statement in self._limits(connection):
                connection.exec_driver_sql(statement)
            connection.commit()
        except BaseException:
            connection.close()
            raise
        # Only now: these statements are none that a cursor on the server's side could run.
        return connection.execution_options(stream_results=True, max_row_buffer=self._rows_at_once)

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
        if url.password is None and self._settings.password_file is not None:
            try:
                url = url.set(password=read_secret(self._settings.password_file))
            except OSError as error:
                raise SourceError(SourceReason.AUTH, f"password_file {error.strerror}") from None
        arguments: dict[str, Any] = {"connect_timeout": max(2, math.ceil(self._settings.timeout))}
        if backend in {"mysql", "mariadb"}:
            arguments |= {"read_timeout": max(1, math.ceil(self._settings.timeout))}
        return sa.create_engine(url.set(drivername=_DRIVERS[backend]), poolclass=NullPool, connect_args=arguments)

    def _dialect(self) -> sa.Dialect:
        self._engine = self._engine or self._made()
        return self._engine.dialect


def _sqlite(path: str, timeout: float) -> sqlite3.Connection:
    """Open a SQLite file for reading only; the default would make a new one where there is none."""
    return sqlite3.connect(f"file:{quote(path)}?mode=ro", uri=True, timeout=timeout, check_same_thread=False)
