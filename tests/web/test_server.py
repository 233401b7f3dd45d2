"""The endpoints over HTTP semantics: statuses, headers, parameters, refusals. No socket is involved."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families as text_families
from starlette.requests import Request

from exporter.log import setup
from exporter.meters import Meters
from exporter.snapshot import Board, Node
from exporter.web.answers import SECURITY_HEADERS, accepts_gzip, to_json
from exporter.web.server import application
from exporter.web.site import authority
from tests.views import shop
from tests.web.daemon import FakeDaemon

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.applications import Starlette

    from exporter.views.reading import Moment


def shop_app(
    board: Board | None = None, *, daemon: FakeDaemon | None = None, clock: Any = lambda: shop.NOW
) -> Starlette:
    """The application on the shop's Board."""
    return application(board or shop.shop_board(), daemon or FakeDaemon(), Meters("0.1.0"), clock)


def ask(path: str, method: str = "GET", app: Starlette | None = None, **headers: str) -> httpx.Response:
    """One request, with headers written with underscores."""

    async def request() -> httpx.Response:
        transport = httpx.ASGITransport(app or shop_app())
        async with httpx.AsyncClient(transport=transport, base_url="http://exporter") as client:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            return await client.request(method, path, headers={"accept-encoding": "", **named})

    return asyncio.run(request())


def test_metrics_are_prometheus_text_by_default() -> None:
    """Without an Accept header: text 0.0.4 that the parser reads."""
    reply = ask("/metrics")
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "redis_up" in {family.name for family in text_families(reply.text)}


def test_metrics_are_openmetrics_on_demand() -> None:
    """With the media type in the Accept header."""
    reply = ask("/metrics", accept="application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
    assert reply.headers["content-type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert "hotkey_exporter_build" in {family.name.removesuffix("_info") for family in openmetrics_families(reply.text)}


def families(path: str) -> set[str]:
    """The names of the families that `/metrics` answers, counters with `_total`."""
    return {line.split()[2] for line in ask(path).text.splitlines() if line.startswith("# TYPE")}


def test_collect_may_be_repeated() -> None:
    """Two parts are what each of them is."""
    both = families("/metrics?collect[]=stats&collect[]=self")
    assert both == families("/metrics?collect[]=stats") | families("/metrics?collect[]=self")
    assert "redis_hotkey_info" not in both


def test_a_part_without_families_is_empty() -> None:
    """Known, and nothing to say."""
    reply = ask("/metrics?collect[]=warming")
    assert (reply.status_code, reply.content) == (200, b"")


def test_target_leaves_out_the_others_and_the_process() -> None:
    """One target's nodes; this process' own families only on request, so that they are not stored once per target."""
    assert "10.0.0.2" not in ask("/metrics?target=cache").text
    assert "hotkey_exporter_build_info" not in families("/metrics?target=cache")
    assert "hotkey_exporter_build_info" in families("/metrics?target=cache&collect[]=self")


REFUSED = [
    ("/metrics?collect[]=hot", 400, "collect[]: 'hot' is unknown, use one or more of hotkeys, stats, keyspace"),
    ("/metrics?collect[]=", 400, "collect[]: '' is unknown"),
    ("/metrics?collect=stats", 400, "parameter 'collect' is unknown here; known: target, collect[]"),
    ("/metrics?target=nobody", 404, "target: 'nobody' is not configured"),
    ("/metrics?target=a&target=b", 400, "target: given more than once"),
    ("/metrics?target=%0Ax%1b", 404, r"target: '\nx\x1b' is not configured"),
    ("/api/v1/hotkeys?limit=0", 400, "limit: '0' is not a whole number from 1 to 100"),
    ("/api/v1/hotkeys?limit=101", 400, "limit: '101' is not"),
    ("/api/v1/hotkeys?limit=+5", 400, "limit: ' 5' is not"),
    ("/api/v1/hotkeys?limit=1_0", 400, "limit: '1_0' is not"),
    ("/api/v1/hotkeys?limit=%D9%A3", 400, r"limit: '\u0663' is not"),
    ("/api/v1/hotkeys?limit=" + "9" * 5000, 400, "limit: '9999"),
    ("/api/v1/hotkeys?limit=", 400, "limit: '' is not"),
    ("/api/v1/hotkeys?db=-1", 400, "db: '-1' is not a whole number from 0 to 2147483647"),
    ("/api/v1/hotkeys?db=zero", 400, "db: 'zero' is not"),
    ("/api/v1/hotkeys?limits=5", 400, "parameter 'limits' is unknown here; known: limit, target, db"),
    ("/api/v1/hotkeys?target=nobody", 404, "target: 'nobody' is not configured"),
    ("/api/v1/status?x=1", 400, "parameter 'x' is unknown here; known: none"),
    ("/health/redis?target=nobody", 404, "target: 'nobody' is not configured"),
    ("/health/redis-alerts?target=nobody", 404, "target: 'nobody' is not configured"),
    ("/scrape", 400, "target: is required, as host:port, as a URL or as the name of a target"),
    ("/scrape?target=", 400, "target: is required"),
    ("/scrape?target=nobody", 403, "target: not a known node, and no pattern of web.scrape_allow matches it"),
    ("/scrape?target=redis://u:pa55word@10.9.9.9", 403, "target: not a known node, and no pattern"),
    ("/scrape?target=redis://u:pa55word@10.9.9.9:x", 400, "target: neither the name of a target nor an address: the"),
    ("/scrape?target=http://169.254.169.254/latest", 400, "target: neither the name of a target nor an address: the"),
    ("/scrape?target=file:///etc/passwd", 400, "target: neither the name of a target nor an address: the scheme"),
    ("/scrape?target=unix:///etc/passwd", 403, "target: not a known node, and no pattern"),
    ("/scrape?target=a%0Ab", 400, "target: neither the name of a target nor an address: the URL holds a space or a"),
    ("/scrape?target=cache&target=queue", 400, "target: given more than once"),
    ("/scrape?target=cache&collect[]=hot", 400, "collect[]: 'hot' is unknown"),
    ("/scrape?target=cache&check-keys=x", 400, "parameter 'check-keys' is unknown here; known: target, collect[]"),
    ("/sd?target=cache", 400, "parameter 'target' is unknown here; known: none"),
    ("/nothing", 404, "nothing here: /nothing"),
    ("/metrics/", 404, "nothing here: /metrics/"),
    ("/a%0Ab%3Cscript%3E", 404, "nothing here: /a%0Ab%3Cscript%3E"),
    ("/assets/../site.py", 404, "nothing here"),
    ("/assets/page.py", 404, "nothing here: /assets/page.py"),
    ("/api/v2/hotkeys", 404, "nothing here: /api/v2/hotkeys"),
    ("/api/v1/nothing", 404, "nothing here: /api/v1/nothing"),
]


@pytest.mark.parametrize(("path", "status", "said"), REFUSED)
def test_a_refusal_is_one_line_that_names_the_fault(path: str, status: int, said: str) -> None:
    """Text where text is expected, JSON under /api and /health; what the client sent is quoted and cut."""
    reply = ask(path)
    assert reply.status_code == status
    assert reply.text.count("\n") == 1
    assert reply.text.endswith("\n")
    assert len(reply.text) < 300
    if path.startswith(("/api", "/health")):
        assert reply.headers["content-type"] == "application/json"
        assert said in reply.json()["error"]
    else:
        assert reply.headers["content-type"] == "text/plain; charset=utf-8"
        assert reply.text.startswith(f"{status}: ")
        assert said in reply.text


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("POST", "/metrics", "GET"), ("DELETE", "/", "GET"), ("GET", "/-/reload", "POST"),
     ("PUT", "/api/v1/status", "GET"), ("OPTIONS", "/metrics", "GET")],
)  # fmt: skip
def test_other_methods_are_refused(method: str, path: str, allowed: str) -> None:
    """405 with the methods that are allowed."""
    reply = ask(path, method)
    assert reply.status_code == 405
    assert allowed in reply.headers["allow"]
    assert f"method not allowed: {method} {path}" in reply.text


def test_reload_over_http_is_forbidden() -> None:
    """Nobody can prove to be allowed to; the answer says what works instead."""
    reply = ask("/-/reload", "POST")
    assert reply.status_code == 403
    assert "SIGHUP" in reply.text


def test_discovery_leads_every_node_back_here() -> None:
    """One entry per node, with the node as `target` of `/scrape` here, and its own `instance`, target, role, labels."""
    reply = ask("/sd", host="exporter.example:9468")
    assert (reply.status_code, reply.headers["content-type"]) == (200, "application/json")
    entries = reply.json()
    assert [entry["targets"] for entry in entries] == [["exporter.example:9468"]] * 3
    assert entries[0]["labels"] == {
        "__metrics_path__": "/scrape", "__param_target": "10.0.0.1:6379", "instance": "10.0.0.1:6379",
        "target": "cache", "role": "master", "team": "shop", "tier": 'gold "A"',
    }  # fmt: skip


@pytest.mark.parametrize(
    ("host", "expected"),
    [("exporter", "exporter:80"), ("[::1]:9468", "[::1]:9468"), ("[::1]", "[::1]:80"), ("10.0.0.9:1", "10.0.0.9:1"),
     ("a b", "127.0.0.1:9468"), ("x/y", "127.0.0.1:9468"), ('"><script>', "127.0.0.1:9468"), ("", "127.0.0.1:9468")],
)  # fmt: skip
def test_discovery_names_us_as_the_client_does(host: str, expected: str) -> None:
    """By the Host header where that is a host; otherwise by the address that was connected to."""
    headers = [(b"host", host.encode())] if host else []
    scope = {"type": "http", "scheme": "http", "headers": headers, "server": ("127.0.0.1", 9468)}
    assert authority(Request(scope)) == expected


def test_nodes_at_one_address_are_told_apart_by_target() -> None:
    """Two targets may lead to the same server; `__param_target` names each once."""
    config = shop.with_targets(
        shop.shop_config(), {"name": "a", "url": "redis://u@10.0.0.1"}, {"name": "b", "url": "redis://v@10.0.0.1"}
    )
    board = Board((Node("a", "10.0.0.1:6379"), Node("b", "10.0.0.1:6379")))
    labels = [entry["labels"] for entry in ask("/sd", app=shop_app(board, daemon=FakeDaemon(config))).json()]
    assert [(one["__param_target"], one["role"]) for one in labels] == [("a", "unknown"), ("b", "unknown")]


PATHS = ["/", "/metrics", "/sd", "/health", "/health/redis", "/health/redis-alerts", "/api/v1/hotkeys",
         "/api/v1/status", "/-/healthy", "/-/ready", "/assets/page.css", "/nothing"]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_head_answers_like_get(path: str) -> None:
    """The same status, type and length."""
    head, get = ask(path, "HEAD"), ask(path)
    assert head.status_code == get.status_code
    assert head.headers["content-type"] == get.headers["content-type"]
    if path != "/metrics":  # whose process figures move
        assert head.headers["content-length"] == get.headers["content-length"]


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_has_the_security_headers(path: str) -> None:
    """Also refusals. Nothing may be framed, sniffed, or kept by a cache."""
    headers = ask(path).headers
    for name, value in SECURITY_HEADERS.items():
        assert headers[name] == value
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy


def test_assets_with_their_version_may_be_kept() -> None:
    """The page names its assets with a hash of their content, and those URLs never change."""
    text = ask("/").text
    for name, kind in (("page.css", "text/css"), ("page.js", "text/javascript")):
        url = next(part.split('"')[0] for part in text.split('"') if part.startswith(f"assets/{name}?v="))
        reply = ask("/" + url)
        assert reply.status_code == 200
        assert reply.headers["content-type"].startswith(kind)
        assert "immutable" in reply.headers["cache-control"]


def test_large_answers_are_compressed_where_the_client_agrees() -> None:
    """The same bytes, less of them, marked as such; small ones and the unwilling get them plain."""
    plain, small = ask("/metrics?target=cache"), ask("/-/healthy", accept_encoding="gzip")
    packed = ask("/metrics?target=cache", accept_encoding="gzip")
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < len(plain.content) / 3
    assert packed.content == plain.content
    assert "Accept-Encoding" in packed.headers["vary"]
    assert "content-encoding" not in plain.headers
    assert "content-encoding" not in small.headers
    assert gzip.decompress(gzip.compress(plain.content)) == packed.content


@pytest.mark.parametrize(
    ("header", "accepted"),
    [("", False), ("gzip", True), ("deflate, gzip;q=0.5", True), ("gzip;q=0", False), ("gzip; q=0.000", False),
     ("gzip;q=0.001", True), ("*", True), ("*;q=0", False), ("gzip;q=0, *", False), ("identity", False), ("GZIP", True),
     ("x-gzip-like", False)],
)  # fmt: skip
def test_the_client_decides_about_compression(header: str, accepted: bool) -> None:
    """As RFC 9110 says, with q."""
    assert accepts_gzip(header) is accepted


def test_the_api_answers_what_the_contract_says() -> None:
    """One compact line of JSON, in UTF-8, keys most accessed first, the default limit being `top`."""
    reply = ask("/api/v1/hotkeys")
    body = reply.json()
    assert reply.headers["content-type"] == "application/json"
    assert reply.text.startswith(
        '{"generated_at":"2026-01-01T00:00:00.250Z","window_end":1767225600,"window_seconds":60,'
    )
    assert reply.text.endswith("}\n")
    assert "schlüssel" in reply.text
    assert [row["rank"] for row in body["hotkeys"]] == list(range(1, 21))


def test_the_api_filters() -> None:
    """By target, database and limit."""
    body = ask("/api/v1/hotkeys?target=queue&db=0&limit=1").json()
    assert [(row["target"], row["db"], row["key"]) for row in body["hotkeys"]] == [("queue", 0, "queue:mails")]
    assert [one["target"] for one in body["targets"]] == ["queue"]


def test_json_knows_no_nan() -> None:
    """What is not a finite number is null, and whole numbers have no fraction."""
    assert to_json({"a": float("nan"), "b": [float("inf"), 2.0], "c": {"d": True}}) == (
        b'{"a":null,"b":[null,2],"c":{"d":true}}\n'
    )


def test_health_follows_the_parts_of_the_process() -> None:
    """200 while all run, 503 with the name of the one that does not."""
    assert ask("/health").status_code == 200
    reply = ask("/health", app=shop_app(daemon=FakeDaemon(alive={"prober": True, "sampler": False})))
    assert reply.status_code == 503
    assert {"name": "sampler", "alive": False} in reply.json()["parts"]


def test_health_of_redis_follows_the_targets() -> None:
    """503 while any target is down, or the one that was asked for."""
    assert ask("/health/redis").status_code == 503
    assert ask("/health/redis?target=cache").status_code == 200
    assert ask("/health/redis?target=sessions").json()["nodes"][0]["reason"] == "refused"


def test_alerts_are_json() -> None:
    """The active ones, most severe first."""
    body = ask("/health/redis-alerts").json()
    assert body["alerts"][0]["alert"] == "RedisDown"
    assert ask("/health/redis-alerts?target=queue").json()["alerts"][0]["target"] == "queue"


def test_ready_once_every_node_was_asked() -> None:
    """Before the first answer 503; a node that is down was asked, too."""
    assert ask("/-/ready").status_code == 200
    waiting = ask("/-/ready", app=shop_app(Board((shop.CACHE, shop.QUEUE))))
    assert (waiting.status_code, waiting.text) == (503, "not ready: 2 nodes not asked yet\n")
    assert ask("/-/healthy", app=shop_app(Board((shop.CACHE,)))).status_code == 200


def test_the_status_is_json() -> None:
    """With the build and no secret."""
    reply = ask("/api/v1/status")
    assert reply.json()["build"]["version"]
    assert "pa55word" not in reply.text


def test_no_answer_holds_the_password() -> None:
    """Whatever is asked, the configured password is in no answer."""
    for path in PATHS:
        assert "pa55word" not in ask(path).text


def test_a_reload_changes_the_next_answer() -> None:
    """Privacy that is switched on hides the keys at once, although their fragments were rendered before."""
    daemon = FakeDaemon()
    app, configs = shop_app(daemon=daemon), daemon.configs
    assert "flash-sale:banner" in ask("/metrics", app=app).text
    configs.append(configs[0].model_copy(update={"keys": configs[0].keys.model_copy(update={"privacy": "group"})}))
    for path in ("/metrics", "/", "/api/v1/hotkeys", "/health/redis", "/health/redis-alerts"):
        assert "flash-sale:banner" not in ask(path, app=app).text


@pytest.fixture
def logged(capsys: pytest.CaptureFixture[str]) -> Iterator[list[str]]:
    """The levels of what is logged while the test runs."""
    levels: list[str] = []
    undo = setup("info", "json", levels.append)
    yield levels
    undo()


def test_a_fault_of_ours_is_one_line_and_logged_once(logged: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """The client learns nothing of it; the log has its type once, not at every scrape, and no traceback."""
    calls: list[int] = []

    def clock() -> Moment:
        calls.append(1)
        if len(calls) > 1:
            raise ZeroDivisionError("the clock fell off the wall")
        return shop.NOW

    app = shop_app(clock=clock)
    for _ in range(3):
        reply = ask("/metrics", app=app)
        assert (reply.status_code, reply.text) == (500, "500: internal error, see the log\n")
    assert len(logged) == 1
    entry = json.loads(capsys.readouterr().err)
    assert "ZeroDivisionError" in str(entry)
    assert "Traceback" not in str(entry)
