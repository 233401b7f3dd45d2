"""A database as a source: rows of one SELECT, streamed, in read-only sessions with a time limit at the server."""

from __future__ import annotations

import sqlite3
import time
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from exporter.config.queries import Query
from exporter.warming.items import Copy, Found, SourceError, SourceReason
from exporter.warming.policy import Policy
from exporter.warming.sources.sql_errors import source_error
from exporter.warming.sources.sql_sessions import Sessions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from exporter.config.warming import WarmingJob

Row = TypeVar("Row")
EVERYTHING = 2**31 - 1
FEW_ROWS = 50
"""What a database that is near is asked for at once: it works that off in one go, on a core that others may need."""
FAR_SECONDS = 0.002
"""A database that takes longer to answer to that, twice, is far away or slow, and asked for a whole batch at once."""


class SqlSource:
    """The rows of one SELECT. What is listed has a session of its own; questions for keys share one for a minute."""

    ordered = True
    by_key = False

    def __init__(self, job: WarmingJob) -> None:
        assert job.source.url is not None
        assert job.source.query is not None
        self._batch = job.batch
        self._sessions = Sessions(job)
        self._query = Query.parse(job.source.query)
        self._policy = Policy.of(job)

    @property
    def _few(self) -> int:
        # SQLite works in this thread, and whoever wants to write there waits for as long as a listing is under way.
        return self._batch if self._sessions.dialect.name == "sqlite" else FEW_ROWS

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
        quoted = self._sessions.dialect.identifier_preparer.quote
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
        return self._answers(statement, parameters)

    def plain(self, keys: Sequence[bytes]) -> list[Copy]:  # noqa: ARG002 - rows are no copies
        """Nothing: rows are no copies."""
        return []

    def interrupt(self) -> None:
        """Cut off whoever waits for the database."""
        self._sessions.cut()

    def close(self) -> None:
        """Let go of all sessions."""
        self._sessions.close()

    def _rows(self, statement: sa.TextClause, parameters: Mapping[str, Any]) -> Iterator[Found]:
        """Run a statement and stream its rows as mappings."""
        try:
            with self._sessions.streaming() as connection:
                finished = False
                try:
                    result = connection.execute(statement, parameters)
                    columns = self._columns(result)
                    for row in fetched(result.fetchmany, self._few, self._batch):
                        yield dict(zip(columns, row, strict=True))
                    finished = True
                finally:
                    if not finished:
                        self._sessions.abandon(connection)
        except (SQLAlchemyError, OSError, sqlite3.Error) as error:
            raise _in_our_words(error) from None
        finally:
            self._sessions.in_use = None

    def _answers(self, statement: sa.TextClause, parameters: Mapping[str, Any]) -> Iterator[Found]:
        """The few rows of a short question: one exchange on a session that is kept, since connecting takes a dozen."""
        self._sessions.was_cut = False
        while True:
            used_before = False
            try:
                connection, used_before = self._sessions.asking()
                result = connection.execute(statement, parameters)
                columns, rows = self._columns(result), result.all()
            except (SQLAlchemyError, OSError, sqlite3.Error) as error:
                self._sessions.drop()
                lost = isinstance(error, DBAPIError) and error.connection_invalidated
                if not (lost and used_before) or self._sessions.was_cut:
                    raise _in_our_words(error) from None
            else:
                break
            finally:
                self._sessions.in_use = None
        for row in rows:
            yield dict(zip(columns, row, strict=True))

    def _columns(self, result: sa.CursorResult[Any]) -> tuple[str, ...]:
        columns = tuple(result.keys())
        for name in self._policy.needed:
            if name not in columns:
                raise SourceError(SourceReason.FIELD, f"the query has no column {name}")
        return columns


def fetched(
    fetch: Callable[[int], Sequence[Row]], few: int, batch: int, clock: Callable[[], float] = time.monotonic
) -> Iterator[Row]:
    """Everything that `fetch` gives when it is asked for so many rows again and again: a few of them, or a batch."""
    few = at_once = min(few, batch)
    last, began = 0.0, clock()
    while rows := fetch(at_once):
        # A whole batch from one that is near takes long, too, and so does a few rows when we have to wait for a core.
        before, last = last, (clock() - began) * min(1.0, few / len(rows))
        at_once = batch if min(before, last) > FAR_SECONDS else few
        yield from rows
        began = clock()


def _in_our_words(error: Exception) -> SourceError:
    return source_error(error.orig or error if isinstance(error, DBAPIError) else error)
