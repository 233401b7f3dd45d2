"""Questions for keys share a session with the database for a while: connecting takes longer than asking."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from exporter.warming.items import SourceError, SourceReason
from exporter.warming.sources import sql_sessions
from exporter.warming.sources.sql import SqlSource
from tests.databases import PASSWORD, Database
from tests.servers import wait_for
from tests.warming.jobs import job_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

QUERY = "select id, user_name from sessions"


@pytest.fixture(scope="module", params=["postgresql", "mariadb", "sqlite"])
def database(request: pytest.FixtureRequest) -> Iterator[Database]:
    """A database of every kind."""
    with Database(request.param) as running:
        running.sessions(100)
        yield running


@pytest.fixture
def source(database: Database) -> Iterator[SqlSource]:
    """The sessions of the database as a source."""
    source = SqlSource(job_of({"type": "sql", "url": database.url, "query": QUERY}))
    yield source
    source.close()


def asked(source: SqlSource, *numbers: int) -> list[Any]:
    """What a source has of these sessions."""
    found = source.lookup([b"session:%d" % number for number in numbers])
    return sorted(found, key=lambda record: record["id"])  # type: ignore[index,arg-type]


def others(database: Database) -> set[int]:
    """The ids of the sessions of PostgreSQL, but for the one that asks."""
    engine = database.engine()
    with engine.connect() as connection:
        query = "select pid from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()"
        found = set(connection.scalars(sa.text(query)))
    engine.dispose()
    return found


def test_every_database_answers_again_and_again(database: Database, source: SqlSource) -> None:
    """The rows of the keys that are there, what has been written since included; a listing beside it, too."""
    assert asked(source, 3, 7, 1000) == [{"id": 3, "user_name": "user-3"}, {"id": 7, "user_name": "user-7"}]
    database.execute("update sessions set user_name = 'another' where id = 7")
    listing = source.records(100, 0)
    next(listing)
    assert asked(source, 7) == [{"id": 7, "user_name": "another"}]
    database.execute("update sessions set user_name = 'user-7' where id = 7")
    assert len(list(listing)) == 99


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_one_session_serves_many_questions(
    database: Database, source: SqlSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One session for all questions; one that the database has ended is replaced, and so is one that has grown old."""
    wait_for(lambda: not others(database), 10, "sessions of other tests to end")
    asked(source, 1)
    first = others(database)
    asked(source, 2)
    assert len(first) == 1
    assert others(database) == first

    database.execute(f"select pg_terminate_backend({first.pop()})")
    assert asked(source, 1, 2) == [{"id": 1, "user_name": "user-1"}, {"id": 2, "user_name": "user-2"}]
    second = others(database)
    monkeypatch.setattr(sql_sessions, "KEPT_SECONDS", 0.0)
    asked(source, 3)
    assert len(second | others(database)) == 2

    with pytest.raises(SourceError, match="query"):
        asked(SqlSource(job_of({"type": "sql", "url": database.url, "query": "select id from nowhere"})), 1)


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_the_password_is_read_for_every_session(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A password that was changed in its file is used with the next session, without a new source."""
    secret = tmp_path / "password"
    secret.write_text("not-yet")
    url = database.url.replace(f":{PASSWORD}", "")
    source = SqlSource(job_of({"type": "sql", "url": url, "query": QUERY, "password_file": str(secret)}))
    with pytest.raises(SourceError) as refused:
        asked(source, 1)
    assert refused.value.reason is SourceReason.AUTH
    secret.write_text(PASSWORD)
    assert len(asked(source, 1)) == 1
    monkeypatch.setattr(sql_sessions, "KEPT_SECONDS", 0.0)
    secret.unlink()
    with pytest.raises(SourceError, match="password_file"):
        asked(source, 1)
    source.close()
