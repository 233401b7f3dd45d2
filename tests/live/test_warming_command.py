"""`warm` against real databases and real servers: what it writes, what it leaves alone, and how it ends."""

from __future__ import annotations

import json
import signal
import subprocess
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest

from tests.clusters import Cluster
from tests.conftest import default_kind
from tests.databases import PASSWORD, Database
from tests.servers import KINDS, ROOT, Server, dies_with_us, wait_for
from tests.warming.program import command, config_of, environment, warm

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers import StartServer

QUERY = "select id, user_name, token from sessions order by seen desc"


@pytest.fixture(scope="module", params=["postgresql", "mariadb", "sqlite"])
def database(request: pytest.FixtureRequest) -> Iterator[Database]:
    """A database of every kind with 500 sessions."""
    with Database(request.param) as running:
        running.sessions(500)
        yield running


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A cluster of three primaries with their replicas."""
    with ExitStack() as servers:

        def start(kind: str = "", *args: str, **options: Any) -> Server:
            return servers.enter_context(Server(kind or default_kind(), *args, **options))

        yield Cluster(start)


def sql_job(database: Database, **settings: Any) -> dict[str, Any]:
    """A job that warms the sessions of a database."""
    source = {"type": "sql", "url": database.url, "query": settings.pop("query", QUERY)}
    return {"name": "sessions", "source": source, "key": "session:{id}", **settings}


def test_every_database_warms(database: Database, redis_server: Server, tmp_path: Path) -> None:
    """All rows become keys with a life; a second run finds them there; a limit takes the query's first; hashes too."""
    client = redis_server.client(decode_responses=True)

    first = warm(tmp_path, config_of(redis_server, sql_job(database, ttl="30m")))
    again = warm(tmp_path, config_of(redis_server, sql_job(database, ttl="30m")))

    assert (first.code, first.job["outcome"], first.keys) == (0, "complete", {"written": 500})
    assert (again.code, again.keys) == (0, {"exists": 500})
    assert client.dbsize() == 500
    assert json.loads(str(client.get("session:499"))) == {"id": 499, "user_name": "user-499", "token": "t" * 500}
    assert all(1_600_000 < client.pttl(f"session:{n}") <= 1_800_000 for n in range(0, 500, 50))

    client.flushall()
    some = warm(tmp_path, config_of(redis_server, sql_job(database, value={"type": "hash"})), "--limit", "10")
    assert some.keys == {"written": 10}
    assert sorted(client.keys()) == [f"session:{n}" for n in range(490, 500)]
    assert client.hgetall("session:490") == {"id": "490", "user_name": "user-490", "token": "t" * 500}
    assert client.ttl("session:490") > 0


def test_the_session_is_read_only_and_errors_are_ours(database: Database, redis_server: Server, tmp_path: Path) -> None:
    """A query that fails is told with its code or the missing name, without the URL, and nothing is written."""
    for query in ("select id, nope from sessions", "select id from missing_table", "select id from sessions where"):
        done = warm(tmp_path, config_of(redis_server, sql_job(database, query=query)))
        assert (done.code, done.job["outcome"], done.job["reason"]) == (1, "failed", "source")
        assert done.job["detail"].startswith("query: the database does not take the query")
        assert PASSWORD not in done.out + done.err
    wrong = warm(tmp_path, config_of(redis_server, sql_job(database, query="select * from sessions", key="s:{uid}")))
    assert wrong.job["detail"] == "field: the query has no column uid"
    assert redis_server.client().dbsize() == 0


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_wrong_password_and_absent_server(database: Database, redis_server: Server, tmp_path: Path) -> None:
    """Both are told apart, and the password that was tried is not shown."""
    wrong = sql_job(database)
    wrong["source"]["url"] = database.url.replace(PASSWORD, "wr0ng-passw0rd")
    absent = sql_job(database)
    absent["source"]["url"] = "postgresql://u:wr0ng-passw0rd@127.0.0.1:1/shop"

    for job, reason in ((wrong, "auth"), (absent, "refused")):
        done = warm(tmp_path, config_of(redis_server, job))
        assert (done.code, done.job["detail"].partition(":")[0]) == (1, reason)
        assert "wr0ng" not in done.out + done.err


def test_dry_run_writes_nothing_and_shards_share(redis_server: Server, tmp_path: Path) -> None:
    """A dry run counts and writes nothing; shards are disjoint and together everything."""
    lines = tmp_path / "s.jsonl"
    lines.write_text("".join(f'{{"id": {n}}}\n' for n in range(1000)))
    job = {"name": "s", "source": {"type": "file", "path": str(lines)}, "key": "session:{id}"}
    client = redis_server.client()

    assert warm(tmp_path, config_of(redis_server, job), "--dry-run").keys == {"written": 1000}
    assert client.dbsize() == 0
    total = 0
    for number in (1, 2, 3):
        keys = warm(tmp_path, config_of(redis_server, job), "--shard", f"{number}/3").keys
        assert keys["written"] + keys["skipped"] == 1000
        assert 200 < keys["written"] < 480
        total += keys["written"]
        assert client.dbsize() == total
    assert total == 1000


@pytest.mark.parametrize("name", ["sessions", "users", "j"])
def test_a_cluster_warms(name: str, cluster: Cluster, tmp_path: Path) -> None:
    """Each key goes to the primary of its slot, and the lease to that of its own, whatever the job is called."""
    path = tmp_path / "some.jsonl"
    path.write_text("".join(f'{{"id": {n}}}\n' for n in range(300)))
    job = {"name": name, "source": {"type": "file", "path": str(path)}, "key": f"{name}:{{id}}"}
    url = "redis://" + ",".join(server.addr for server in cluster.primaries)
    config = {"targets": [{"name": "main", "topology": "cluster", "url": url}], "warming": {"jobs": [job]}}

    done = warm(tmp_path, config)

    assert (done.code, done.keys) == (0, {"written": 300}), done.err
    found = [list(server.client().scan_iter(f"{name}:*", 1000)) for server in cluster.primaries]
    assert all(found)
    assert sum(map(len, found)) == 300


def test_bad_records_make_it_partial(redis_server: Server, tmp_path: Path) -> None:
    """Garbage, missing fields and duplicates are counted apart; everything else is warmed; exit code 3."""
    lines = tmp_path / "s.jsonl"
    good = [f'{{"id": {n}, "v": "x"}}' for n in range(50)]
    lines.write_text(
        "\n".join([*good, "garbage", '{"v": 1}', '{"id": 7}', '{"id": 8, "v": "' + "y" * 2_000_000 + '"}'])
    )
    job = {"name": "s", "source": {"type": "file", "path": str(lines)}, "key": "session:{id}"}

    done = warm(tmp_path, config_of(redis_server, job))

    assert (done.code, done.job["outcome"], done.job["reason"]) == (3, "partial", "items")
    assert done.keys == {"written": 50, "failed": 2, "skipped": 2}
    assert done.job["faults"] == {"garbage": 1, "field": 1, "duplicate": 1, "too_large": 1}


def test_usage(redis_server: Server, tmp_path: Path) -> None:
    """No job, an unknown job, a bad shard and a bad configuration are exit code 2 and one line each."""
    job = {"name": "s", "source": {"type": "file", "path": "/none.jsonl"}, "key": "session:{id}"}

    assert warm(tmp_path, config_of(redis_server)).code == 2
    unknown = warm(tmp_path, config_of(redis_server, job), "other")
    assert (unknown.code, unknown.err.count("\n")) == (2, 1)
    assert "known: s" in unknown.err
    assert warm(tmp_path, config_of(redis_server, job), "--shard", "4/3").code == 2
    assert warm(tmp_path, config_of(redis_server, job), "--limit", "0").code == 2
    assert warm(tmp_path, config_of(redis_server, {**job, "ttl": 0})).code == 2


class Api(BaseHTTPRequestHandler):
    """An API: a list in two pages, single records, one that fails twice, one that is absent, one that is too large."""

    failures = 0

    def do_GET(self) -> None:
        """Answer."""
        path, _, page = self.path.partition("?")
        status, body, link = 200, b"", ""
        if path == "/list":
            rows = [{"id": n} for n in (range(10) if page else range(10, 25))]
            body, link = json.dumps({"data": {"rows": rows}}).encode(), "" if page else '</list?page=2>; rel="next"'
        elif path == "/flaky":
            Api.failures += 1
            status, body = (503, b"") if Api.failures <= 2 else (200, b'[{"id": 1}]')
        elif path == "/large":
            body = b"[" + b" " * 3_000_000 + b"]"
        else:
            status = 404
        self.send_response(status)
        if link:
            self.send_header("Link", link)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Stay silent."""


@pytest.fixture
def api() -> Iterator[str]:
    """The address of a running API."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_http_lists(api: str, redis_server: Server, tmp_path: Path) -> None:
    """Pages are followed, passing faults are tried again, and what is absent or too large is told."""

    def run(path: str, **settings: Any) -> Any:
        source = {"type": "http", "url": f"{api}{path}", **settings.pop("source", {})}
        return warm(tmp_path, config_of(redis_server, {"name": "s", "source": source, "key": "s:{id}", **settings}))

    assert run("/list", source={"items": "data.rows"}).keys == {"written": 25}
    assert run("/flaky").keys == {"exists": 1}
    assert run("/none").job["detail"] == "status: answered with status 404"
    assert run("/large", max_bytes="1MiB").job["detail"].startswith("too_large:")
    assert run("/list").job["detail"].startswith("garbage: the answer is not a list")


@pytest.mark.parametrize(
    ("old", "new"), [("redis-7.0", "redis-7.0"), ("redis-6.2", "valkey-9.1"), ("redis-8.2", "redis-6.2")]
)
def test_copies_between_servers(old: str, new: str, start_server: StartServer, tmp_path: Path) -> None:
    """Every type arrives whole with its remaining life, by DUMP or (to an older server) by type; nothing is endless."""
    if KINDS[old].binary is None or KINDS[new].binary is None:
        pytest.skip("not installed")
    source, target = start_server(old), start_server(new)
    there, here = source.client(decode_responses=True), target.client(decode_responses=True)
    there.set("s", "x" * 100, ex=500)
    there.hset("h", mapping={f"f{n}": str(n) for n in range(2000)})
    there.rpush("l", *map(str, range(300)))
    there.sadd("e", "a", "b")
    there.zadd("z", {"a": 1.5, "b": -2})
    there.set("big", "y" * 3_000_000)
    here.set("s", "fresher")
    job = {"name": "copy", "source": {"type": "redis", "url": source.url}, "ttl": "10m"}

    done = warm(tmp_path, config_of(target, job))

    assert (done.code, done.keys) == (0, {"written": 4, "exists": 1, "skipped": 1}), done.out
    assert here.get("s") == "fresher"
    assert here.hgetall("h") == there.hgetall("h")
    assert here.lrange("l", 0, -1) == there.lrange("l", 0, -1)
    assert here.smembers("e") == {"a", "b"}
    assert here.zrange("z", 0, -1, withscores=True) == [("b", -2.0), ("a", 1.5)]
    assert all(0 < here.ttl(key) <= 600 for key in "hlez")


def test_one_at_a_time_and_a_signal_ends_in_order(redis_server: Server, tmp_path: Path) -> None:
    """While one `warm` runs a second is not leader (5); SIGINT ends the first (4); the next goes on where it ended."""
    lines = tmp_path / "s.jsonl"
    lines.write_text("".join(f'{{"id": {n}}}\n' for n in range(3000)))
    source = {"type": "file", "path": str(lines)}
    slow = config_of(redis_server, {"name": "s", "source": source, "key": "session:{id}", "rate_limit": "300/s"})
    client = redis_server.client()
    running = subprocess.Popen(
        [*dies_with_us(), *command(tmp_path, slow)], cwd=ROOT, env=environment(), stdout=subprocess.PIPE
    )
    wait_for(lambda: client.dbsize() > 300, 20, "the first keys")

    second = warm(tmp_path, slow)
    running.send_signal(signal.SIGINT)
    out, _ = running.communicate(timeout=10)
    (first,) = json.loads(out)["jobs"]

    assert (second.code, second.job["outcome"]) == (5, "not_leader")
    assert (running.returncode, first["outcome"], first["reason"]) == (4, "aborted", "stopped")
    written = first["keys"]["written"]
    fast = config_of(redis_server, {"name": "s", "source": source, "key": "session:{id}"})
    slow_again = warm(tmp_path, fast)
    assert slow_again.code == 0
    assert slow_again.keys == {"written": 3000 - written, "exists": written}
