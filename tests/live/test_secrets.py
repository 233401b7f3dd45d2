"""Secrets of every kind are planted and every error is provoked: none of them comes out anywhere."""

from __future__ import annotations

import json
import resource
import signal
import socketserver
import sqlite3
import threading
import time
from contextlib import closing, suppress
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any

import bcrypt
import httpx
import psutil
import pytest
import redis
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from tests.authority import Authority
from tests.collector import receiver
from tests.servers import free_port, wait_for
from tests.test_cli import cli

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.program import Exporter, StartExporter
    from tests.servers import Server, StartServer

PATHS = (
    "/", "/metrics", "/metrics?collect[]=hotkeys", "/health", "/health/redis", "/health/redis-alerts", "/sd",
    "/api/v1/hotkeys?limit=100", "/api/v1/status", "/api/v1/warming", "/-/ready", "/scrape?target=live",
)  # fmt: skip


ERROR = Status.STATUS_CODE_ERROR


class Planted:
    """Makes secrets and remembers them: `planted("what")` is a new one."""

    def __init__(self) -> None:
        self.all: dict[str, str] = {}

    def __call__(self, what: str) -> str:
        """Make one."""
        assert what not in self.all
        self.all[what] = f"c4n4ry-{len(self.all):02}-{what[:3]}"
        return self.all[what]

    def found_in(self, texts: dict[str, str]) -> list[tuple[str, str]]:
        """Which secrets stand in which text."""
        return [(what, where) for where, text in texts.items() for what, one in self.all.items() if one in text]


class Api(BaseHTTPRequestHandler):
    """An API that fails, and says too much."""

    body = b""

    def do_GET(self) -> None:
        """Answer with an error and a secret."""
        self.send_response(500)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def api() -> Iterator[str]:
    """The address of such an API."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Api) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def targets(planted: Planted, server: Server, directory: Path) -> list[dict[str, Any]]:
    """One server that can be used, and others that fail, each in its own way and with its own secret."""
    dead, authority = free_port(), Authority(directory)
    password_file, sentinel_file = directory / "password", directory / "sentinel"
    password_file.write_text(planted("password_file"))
    sentinel_file.write_text(planted("sentinel password_file"))
    broken_key = directory / "broken.key"
    broken_key.write_text(
        f"-----BEGIN PRIVATE KEY-----\n{planted('content of a key file')}\n-----END PRIVATE KEY-----\n"
    )
    return [
        {"name": "live", "url": f"redis://{server.addr}", "password": server.password},
        {"name": "dead", "url": f"redis://user:{planted('URL')}@127.0.0.1:{dead}"},
        {"name": "wrong", "url": f"redis://:{planted('wrong password in the URL')}@{server.addr}"},
        {"name": "acl", "url": f"redis://{server.addr}", "username": "nobody", "password": planted("wrong password")},
        {"name": "file", "url": f"redis://{server.addr}", "password_file": str(password_file)},
        {"name": "env", "url": f"redis://{server.addr}"},
        {"name": "variable", "url": f"redis://{server.addr}", "password": "${PLANTED}"},
        {"name": "encoded", "url": f"redis://:p%40{planted('percent-encoded URL')}%2F@{server.addr}"},
        {"name": "tls", "url": f"rediss://:{planted('URL of TLS')}@{server.addr}",
         "tls": {"ca_file": str(authority.ca)}},
        {"name": "key", "url": f"rediss://{server.addr}",
         "tls": {"cert_file": str(authority.issue("client")[0]), "key_file": str(broken_key)}},
        {"name": "sentinels",
         "sentinel": {"master": "main", "nodes": [server.addr], "password_file": str(sentinel_file)}},
    ]  # fmt: skip


def jobs(planted: Planted, server: Server, api: str, directory: Path) -> list[dict[str, Any]]:
    """Warming jobs that fail, each in its own way, and some that work."""
    dead = free_port()
    token = directory / "token"
    token.write_text(planted("token of an API"))
    Api.body = f'{{"error": "{planted("answer of an API")}"}}'.encode()
    records = directory / "records.jsonl"
    lines = [
        {"id": 1, "v": planted("value of a file")},
        {"id": 2, "v": "x" * 3000 + planted("value that is too large")},
    ]
    records.write_text("".join(f"{json.dumps(line)}\n" for line in lines) + f"{{{planted('line that is no JSON')}\n")
    with closing(sqlite3.connect(directory / "base.db")) as base, base:
        base.execute("create table t (id text, v text)")
        base.execute("insert into t values (?, ?)", ("7", planted("value of a database")))
    (directory / "planted_source.py").write_text(
        f"def fails(limit):\n    raise RuntimeError('{planted('exception of a function')}')\n"
    )
    sqlite = f"sqlite:///{directory}/base.db"
    sources: dict[str, dict[str, Any]] = {
        "api": {"type": "http", "url": f"http://{api}/", "token_file": str(token), "retries": 0},
        "api-user": {"type": "http", "url": f"http://u:{planted('URL of an API')}@127.0.0.1:{dead}/", "retries": 0},
        "api-query": {"type": "http", "url": f"http://{api}/?key={planted('parameter of an API')}", "retries": 0},
        "postgres": {"type": "sql", "url": f"postgresql://u:{planted('URL of PostgreSQL')}@127.0.0.1:{dead}/d",
                     "query": "select 1 as id"},
        "mysql": {"type": "sql", "url": f"mysql://u:{planted('URL of MySQL')}@127.0.0.1:{dead}/d",
                  "query": "select 1 as id"},
        "query": {"type": "sql", "url": sqlite, "query": f"select id from nowhere where v = '{planted('query')}'"},
        "database": {"type": "sql", "url": sqlite, "query": "select id, v from t"},
        "redis": {"type": "redis", "url": f"redis://:{planted('URL of another Redis')}@{server.addr}"},
        "file": {"type": "file", "path": str(records)},
        "function": {"type": "python", "call": "planted_source:fails"},
    }  # fmt: skip
    every = {"target": "live", "key": "warmed:{id}", "every": "1h", "max_value_bytes": "2KiB"}
    copied = {name: value for name, value in every.items() if name != "key"}
    return [
        {"name": name, "source": source, **(copied if source["type"] == "redis" else every)}
        for name, source in sources.items()
    ]


def traffic(planted: Planted, server: Server) -> None:
    """Commands with secrets in them, as applications and administrators send them while somebody watches."""
    client = server.client()
    secrets = {what: planted(what) for what in (
        "value", "value of a hash", "argument of a script", "requirepass", "rule of an ACL", "AUTH", "HELLO", "message",
        "key of a session", "key of a token", "key of an OTP", "key of an authorization", "slow command", "error",
    )}  # fmt: skip
    client.config_set("slowlog-log-slower-than", "0")
    client.config_set("masterauth", secrets["requirepass"])
    client.acl_setuser("x", enabled=True, passwords=[f"+{secrets['rule of an ACL']}"])
    for _ in range(100):
        client.set("plain", secrets["value"])
        client.hset("hash", mapping={"field": secrets["value of a hash"]})
        client.eval("return redis.call('set', KEYS[1], ARGV[1])", 1, "scripted", secrets["argument of a script"])
        client.publish("news", secrets["message"])
        for kind in ("session", "token", "OTP", "authorization"):
            of = "an" if kind in {"OTP", "authorization"} else "a"
            client.get(f"{kind.lower()}:{secrets[f'key of {of} {kind}']}")
        client.set("slow", secrets["slow command"])
        for command in (("AUTH", "u", secrets["AUTH"]), ("HELLO", "2", "AUTH", "u", secrets["HELLO"]),
                        ("LPUSH", "plain", secrets["error"])):  # fmt: skip
            with suppress(redis.RedisError):
                client.execute_command(*command)


def outputs(exporter: Exporter, planted: Planted, directory: Path) -> dict[str, str]:
    """Everything that the program says, to whoever asks, politely or not."""
    texts: dict[str, str] = {}
    for path in PATHS:
        for accept in ("text/plain", "application/openmetrics-text"):
            texts[f"{path} {accept}"] = exporter.get(path, headers={"Accept": accept}, auth=AUTH).text
    attacks = {
        "a target": f"/scrape?target=redis://:{planted('URL of a request')}@127.0.0.1:1",
        "a parameter": f"/metrics?token={planted('parameter of a request')}",
        "a wrong user": "/metrics",
    }
    for name, path in attacks.items():
        auth = ("prometheus", planted("password of a request")) if name == "a wrong user" else AUTH
        answer = exporter.get(path, auth=auth)
        texts[name] = f"{answer.text} {answer.headers}"
    order = json.dumps({"state": planted("body of a request")})
    texts["an order"] = httpx.post(f"{exporter.url}/api/v1/sampling", content=order, auth=AUTH, trust_env=False).text
    config = str(next(directory.glob("exporter-*.yaml")))
    for arguments in (
        ("check", "--json"),
        ("check", "--debug"),
        ("warm", "--json", "api", "query", "function", "file"),
    ):
        done = cli(*arguments, "--config", config, PLANTED=planted.all["variable"], PYTHONPATH=str(directory))
        texts[" ".join(arguments)] = done.stdout + done.stderr
    for name, text in {
        "bad type": f"targets: [{{name: a, url: 'redis://h', sampling: {{top: {planted('value of a wrong type')}}}}}]",
        "bad name": f"targets: [{{name: a, url: 'redis://h', passwort: {planted('misspelt setting')}}}]",
        "bad yaml": f"targets: [{{password: {planted('broken YAML')}",
        "bad url": f"targets: [{{name: a, url: 'redis://u:{planted('broken URL')}/x@h:y'}}]",
    }.items():
        (directory / "bad.yaml").write_text(text)
        done = cli("serve", "--debug", "--config", str(directory / "bad.yaml"))
        assert done.returncode == 2
        texts[name] = done.stdout + done.stderr
    texts["command lines"] = " ".join(" ".join(one.cmdline()) for one in exporter.processes())
    return texts


AUTH = ("prometheus", "corr3ct-horse")


@pytest.fixture
def core_dumps() -> Iterator[None]:
    """The system would write an image of the memory of who crashes."""
    before = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_CORE, before)


@pytest.mark.usefixtures("core_dumps")
def test_no_secret_comes_out(
    tmp_path: Path, start_server: StartServer, start_exporter: StartExporter, api: str
) -> None:
    """More than 30 kinds of secrets, every error, debug logs: 0 found in logs, traces, metrics, pages and crashes."""
    with receiver() as collector:
        planted = Planted()
        server = start_server(password=planted("requirepass of the server"))
        web = tmp_path / "web.json"
        web.write_text(
            json.dumps({"basic_auth_users": {AUTH[0]: bcrypt.hashpw(AUTH[1].encode(), bcrypt.gensalt(4)).decode()}})
        )
        hashed = tmp_path / "hash"
        hashed.write_text(planted("hash_secret_file"))
        config = {
            "targets": targets(planted, server, tmp_path), "web": {"config_file": str(web)}, "log": {"level": "debug"},
            "warming": {"jobs": jobs(planted, server, api, tmp_path)}, "keys": {"hash_secret_file": str(hashed)},
            "keyspace": {"interval": "10s"}, "enrich": {"interval": "2s"},
            "tracing": {"enabled": True, "endpoint": collector.url},
        }  # fmt: skip
        environ = {
            "PLANTED": planted("variable"), "PYTHONPATH": str(tmp_path),
            "HOTKEY_EXPORTER_TARGETS__ENV__PASSWORD": planted("environment"),
            "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer {planted('token of the collector')}",
            "OTEL_BSP_SCHEDULE_DELAY": "200", "PYTHONFAULTHANDLER": "1",
        }  # fmt: skip
        exporter = start_exporter(config=config, env=environ, wait="").wait_until("/-/healthy", 40)
        wait_for(
            lambda: 'name="live"' in exporter.log or '"node.up"' in exporter.log, 30, "the live server to be known"
        )
        wait_for(lambda: exporter.log.count('"node.down"') >= 8, 30, "the others to be found down")
        traffic(planted, server)
        wait_for(lambda: _ran(exporter), 30, "every job to have run")
        wait_for(lambda: "plain" in exporter.get("/api/v1/hotkeys", auth=AUTH).text, 20, "the traffic to be seen")
        server.suspend()
        time.sleep(0.5)
        server.resume()
        texts = {**outputs(exporter, planted, tmp_path)}
        for process in exporter.processes():
            with suppress(psutil.AccessDenied):
                texts[f"cwd of {process.pid}"] = process.cwd()
        texts["traces"] = traces(collector, exporter)
        texts["end"] = aborted(exporter)
        texts["log"] = exporter.log
        errors = [line for line in texts["log"].splitlines() if '"WARNING"' in line or '"ERROR"' in line]

        assert planted.found_in(texts) == []
        assert len(planted.all) > 30
        assert len(errors) > 10


def traces(collector: Any, exporter: Exporter) -> str:
    """All spans, after some that ended in errors, and a time in which the collector refused them."""
    wait_for(lambda: sum(span.status.code == ERROR for span in collector.spans) > 3, 20, "spans of what failed")
    for status, words in ((401, "Failed to export"), (503, "Transient error")):
        collector.status = status
        exporter.get("/metrics", auth=AUTH)
        wait_for(lambda words=words: words in exporter.log, 20, f"the exporter to be refused: {words}")  # type: ignore[misc]
    collector.status = 200
    assert any("c4n4ry" in token for token in collector.tokens)
    assert not any(span.events or span.status.message for span in collector.spans)
    names = {span.name for span in collector.spans}
    assert {"sampling.burst", "job enrich", "job warming", "warming.fetch", "warming.write", "GET /metrics"} <= names
    return "\n".join(map(str, collector.spans))


def aborted(exporter: Exporter) -> str:
    """What it leaves behind when it crashes: the stacks of its threads, without values, and no image of its memory."""
    for process in exporter.processes():
        assert process.rlimit(psutil.RLIMIT_CORE)[0] == 0
    exporter.process.send_signal(signal.SIGABRT)
    assert exporter.process.wait(10) == -signal.SIGABRT
    assert "Fatal Python error: Aborted" in exporter.log
    return exporter.log


def _ran(exporter: Exporter) -> bool:
    jobs = exporter.get("/api/v1/warming", auth=AUTH).json()["jobs"]
    return len(jobs) == 10 and all(job["last"] is not None for job in jobs)
