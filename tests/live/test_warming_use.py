"""What warming is for: a cache that is emptied is soon warm again, and hot keys do not expire under their readers."""

from __future__ import annotations

import pytest

from benchmarks import warming_ahead, warming_flush
from tests.databases import Database


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_flush_is_soon_made_good() -> None:
    """With a default job nine in ten reads are hits again soon, and the database is asked far less than without."""
    size = warming_flush.Size(keys=5000, readers=5, per_second=200.0, seconds=15, before=2)

    warm, cold = warming_flush.run(size)

    assert warm.to_goal is not None
    assert warm.last > cold.last
    assert warm.queries < 0.8 * cold.queries


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_hot_keys_are_hardly_missed_with_refresh_ahead() -> None:
    """Of the misses on keys with a short life, and of the queries that they cost, few are left."""
    size = warming_ahead.Size(keys=10, readers=10, per_second=300.0, ttl=4, seconds=16)

    ahead, without = warming_ahead.run(size)

    assert without.misses >= 10, "all of them have expired several times"
    assert ahead.misses <= 0.3 * without.misses
    assert ahead.queries < without.queries


def test_the_log_of_the_database_is_read_rightly() -> None:
    """Statements on the table count, each once, and no others: this is what the benchmark's figures rest on."""
    with Database("postgresql") as database:
        database.sessions(10)
        database.execute("alter role warmer set log_statement = 'all'")
        before = warming_ahead.queries(database)
        database.execute("select 1", "select token from sessions where id = 3", "select count(*) from sessions")

        assert warming_ahead.queries(database) - before == 2
