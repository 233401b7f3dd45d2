"""The endpoints: a request and the Board in, the view's answer out. Nothing here touches Redis."""

from __future__ import annotations

import hashlib
import math
import platform
import re
from importlib.resources import files
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from exporter import __version__
from exporter.config import hash_secret_of
from exporter.config.endpoint import join
from exporter.guests import is_guest
from exporter.keynames import KeyNames
from exporter.snapshot import NodeStatus
from exporter.views import alerts, certificates, details, health, hotkeys, warming
from exporter.views.discovery import discovery
from exporter.views.exposition import negotiate
from exporter.views.families import Collect
from exporter.views.metrics import MetricsView
from exporter.views.page.details import opened_key
from exporter.views.page.document import page
from exporter.views.page.filters import Filter
from exporter.views.page.known import Known
from exporter.views.reading import read
from exporter.views.status import Build, status
from exporter.web.ahead import Ahead
from exporter.web.answers import HTML, JSON, all_of, answer, line, to_json
from exporter.web.border import time_limit
from exporter.web.orders import order_of
from exporter.web.targets import first_status, node_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from exporter.config import Config, Keys
    from exporter.meters import Meters
    from exporter.snapshot import Board, Node
    from exporter.views.reading import Moment
    from exporter.web.access import Access
    from exporter.web.daemon import Daemon

_SCRIPT = "text/javascript; charset=utf-8"
ASSETS = {"page.css": "text/css; charset=utf-8", "page.js": _SCRIPT, "morph.js": _SCRIPT}
AUTHORITY = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9_.-]{0,252}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
PORT = re.compile(r":[0-9]+\Z")
WAITING_SHARE = 0.7
"""Of the time limit, for a guest to answer for the first time; the rest is for writing the answer."""
_FOR_EVER = {"Cache-Control": "public, max-age=31536000, immutable"}


class Site:
    """All endpoints. Runs in the event loop's thread only, which is what its caches rely on."""

    def __init__(
        self,
        board: Board,
        daemon: Daemon,
        meters: Meters,
        clock: Callable[[], Moment],
        access: Access,
    ) -> None:
        self._access = access
        self._board = board
        self._daemon = daemon
        self._meters = meters
        self._clock = clock
        self._build = Build(__version__, platform.python_version(), clock())
        self._metrics = MetricsView()
        self._ahead = Ahead()
        self._names: tuple[Keys, KeyNames] | None = None
        self._assets = {name: (files("exporter.views") / "assets" / name).read_bytes() for name in ASSETS}
        # The content is in the URL, so a browser may keep it for ever and still sees the next release at once.
        self._urls = {
            name: f"assets/{name}?v={hashlib.sha256(body).hexdigest()[:8]}" for name, body in self._assets.items()
        }

    async def metrics(self, request: Request) -> Response:
        """`/metrics`, with `collect[]` and `target`."""
        parameters(request, "target", repeatable=("collect[]",))
        config, target = self._daemon.config(), self._target(request)
        # The process belongs to no target: two scrapes of two targets should not both count it, unless asked to.
        collect = collected(request) or frozenset(Collect) - ({Collect.SELF} if target else set())
        now = self._clock()
        every = read(self._board, config, now)
        self._metrics.forget(every)
        readings = tuple(one for one in every if target in {None, one.node.target})
        self._board.scraped((one.node for one in readings), now.monotonic)
        form = negotiate(all_of(request, "accept"))
        own = self._meters.families() if Collect.SELF in collect else ()
        jobs = [one for one in self._board.warmth.jobs if target in {None, one.target}]
        stats = Collect.STATS in collect
        web = self._access.rules.not_after if Collect.SELF in collect else {}
        tls = certificates.families(self._board.certificates if stats else {}, web, target)
        body = self._metrics.render(readings, self._keynames(config), form, collect, own, jobs, tls)
        self._ahead.scraped((target, collect), now.monotonic, lambda: self._write_ahead(collect, target))
        return await answer(request, body, form.content_type)

    async def scrape(self, request: Request) -> Response:
        """`/scrape`, with `target` and `collect[]`: one node, under the label sets of redis_exporter."""
        parameters(request, "target", repeatable=("collect[]",))
        collect = collected(request) or frozenset(Collect)
        target = request.query_params.get("target")
        if not target:
            raise HTTPException(400, "target: is required, as host:port, as a URL or as the name of a target")
        node = await node_of(target, self._board, self._daemon)
        if is_guest(node):
            await first_status(node, self._board, WAITING_SHARE * time_limit(request.scope))
        config, now = self._daemon.config(), self._clock()
        reading = next((one for one in read(self._board, config, now, node.target) if one.node == node), None)
        if reading is None:
            raise HTTPException(503, "target: has just been removed from the configuration")
        self._board.scraped((node,), now.monotonic)
        form = negotiate(all_of(request, "accept"))
        body = self._metrics.scrape(reading, self._keynames(config), form, collect)
        self._ahead.scraped((node, collect), now.monotonic, lambda: self._write_ahead(collect, node=node))
        return await answer(request, body, form.content_type)

    def _write_ahead(self, collect: frozenset[Collect], target: str | None = None, node: Node | None = None) -> None:
        """Render what the next scrape of this kind will ask for; the fragments are kept for it."""
        config = self._daemon.config()
        every = read(self._board, config, self._clock())
        readings = tuple(one for one in every if target in {None, one.node.target} and node in {None, one.node})
        self._metrics.prepare(readings, self._keynames(config), collect)

    async def discovery(self, request: Request) -> Response:
        """`/sd`: for Prometheus' `http_sd_configs`."""
        parameters(request)
        readings = read(self._board, self._daemon.config(), self._clock())
        # Who discovers a guest would scrape it for ever, and so it would never leave.
        configured = tuple(reading for reading in readings if not is_guest(reading.node))
        return await answer(request, to_json(discovery(configured, authority(request))), JSON)

    async def page(self, request: Request) -> Response:
        """`/`: the page; its parameters are those of `Filter`."""
        config, now = self._daemon.config(), self._clock()
        names, readings = self._keynames(config), read(self._board, config, now)
        active = alerts.active(readings, config, names)
        wanted = Filter.of(request.query_params)
        opened = opened_key(self._board, readings, names, wanted, now)
        known = Known(readings, active, self._board.warmth.jobs, self._board.history, names, now, opened)
        return await answer(request, page(known, wanted, __version__, self._urls), HTML)

    async def asset(self, request: Request) -> Response:
        """`/assets/NAME`: the page's style and script."""
        name = request.path_params["name"]
        if name not in self._assets:
            raise HTTPException(404)
        headers = _FOR_EVER if request.query_params.get("v") else {}
        return await answer(request, self._assets[name], ASSETS[name], headers=headers)

    async def hotkeys(self, request: Request) -> Response:
        """`/api/v1/hotkeys`, with `limit`, `target` and `db`."""
        parameters(request, "limit", "target", "db")
        config, now, target = self._daemon.config(), self._clock(), self._target(request)
        limit = whole(request, "limit", 1, hotkeys.MOST_KEYS)
        db = whole(request, "db", 0, 2**31 - 1)
        readings = read(self._board, config, now, target)
        names = self._keynames(config)
        shown = hotkeys.api(readings, names, now, config.sampling.top if limit is None else limit, db)
        return await answer(request, to_json(shown), JSON)

    async def hotkey(self, request: Request) -> Response:
        """`/api/v1/hotkeys/KEY`, with `target`, `node` and `db`: details of one key, which is in focus from now on."""
        parameters(request, "target", "node", "db")
        config, now, target = self._daemon.config(), self._clock(), self._target(request)
        db = whole(request, "db", 0, 2**31 - 1)
        wanted = details.Wanted(request.path_params["key"], request.query_params.get("node"), db)
        found = details.matches(read(self._board, config, now, target), self._keynames(config), wanted)
        if not found:
            raise HTTPException(404, "key: no window has a hot key of this name; /api/v1/hotkeys lists their names")
        if len(found) > 1:
            places = ", ".join(match.place for match in found[: details.MOST_CHOICES])
            raise HTTPException(400, f"key: there are several of this name, ask for one of them: {places}")
        close = details.look_closely(self._board, found[0], now)
        return await answer(request, to_json(details.api(close, now)), JSON)

    async def status(self, request: Request) -> Response:
        """`/api/v1/status`."""
        parameters(request)
        config, now = self._daemon.config(), self._clock()
        readings = read(self._board, config, now)
        return await answer(request, to_json(status(readings, config, self._daemon.alive(), self._build, now)), JSON)

    async def health(self, request: Request) -> Response:
        """`/health`: 503 when a part of this process has ended."""
        liveness = self._daemon.alive()
        uptime = self._clock().monotonic - self._build.started.monotonic
        body = to_json(health.process(liveness, __version__, uptime))
        return await answer(request, body, JSON, 200 if all(liveness.values()) else 503)

    async def health_redis(self, request: Request) -> Response:
        """`/health/redis`, with `target`: 503 when a target is down."""
        parameters(request, "target")
        config, now, target = self._daemon.config(), self._clock(), self._target(request)
        readings = read(self._board, config, now, target)
        down = health.down_targets(readings, config, target)
        body = to_json(health.redis(readings, self._keynames(config), now, down))
        return await answer(request, body, JSON, 503 if down else 200)

    async def health_alerts(self, request: Request) -> Response:
        """`/health/redis-alerts`, with `target`."""
        parameters(request, "target")
        config, now, target = self._daemon.config(), self._clock(), self._target(request)
        active = alerts.active(read(self._board, config, now, target), config, self._keynames(config))
        return await answer(request, to_json(alerts.answer(active, now)), JSON)

    async def healthy(self, _request: Request) -> Response:
        """`/-/healthy`: this process answers."""
        return line("healthy")

    async def ready(self, _request: Request) -> Response:
        """`/-/ready`: every node was asked at least once, whatever it said."""
        waiting = sum(self._board.latest(node, NodeStatus) is None for node in self._board.nodes)
        if waiting:
            return line(f"not ready: {waiting} nodes not asked yet", 503)
        cold = self._board.warmth.waiting(self._clock().monotonic)
        return line(f"not ready: {cold} warming jobs have not run yet", 503) if cold else line("ready")

    async def warming(self, request: Request) -> Response:
        """`/api/v1/warming`: the state of all warming jobs."""
        parameters(request)
        jobs = {job.name: job for job in self._daemon.config().warming.jobs}
        return await answer(request, to_json(warming.api(self._board.warmth.jobs, jobs, self._clock())), JSON)

    async def warm(self, request: Request) -> Response:
        """`POST /api/v1/warming/JOB`: the job runs within a second or so, unless it runs already."""
        parameters(request)
        name = request.path_params["job"]
        if not self._board.warmth.ask(name):
            raise HTTPException(404, f"job: {shorten(name)} is not configured")
        return await answer(request, to_json({"job_name": name, "asked": True}), JSON, 202)

    async def reload(self, request: Request) -> Response:
        """`POST /-/reload`: 500 with every problem, one a line, when the configuration on disk cannot be used."""
        parameters(request)
        problems = await run_in_threadpool(self._daemon.reload)
        said = "\n".join(map(str, problems))
        return line(f"the running configuration stays:\n{said}", 500) if problems else line("reloaded")

    async def switch(self, request: Request) -> Response:
        """`POST /api/v1/sampling`: the kill switch. The answer is how things are then."""
        parameters(request)
        order = await order_of(request)
        names = [one.name for one in self._daemon.config().targets]
        if order.target is not None and order.target not in names:
            raise HTTPException(404, f"target: {shorten(order.target)} is not configured")
        self._daemon.switch_sampling(order.target, order.seconds, on=order.on)
        states = [(name, self._daemon.sampling_off_seconds(name)) for name in names]
        shown = [
            {"target": name, "state": "on" if left is None else "off",
             "seconds_left": left if left is not None and math.isfinite(left) else None}
            for name, left in states
        ]  # fmt: skip
        return await answer(request, to_json({"targets": shown}), JSON)

    def _target(self, request: Request) -> str | None:
        name = request.query_params.get("target")
        if name is not None and all(name != one.name for one in self._daemon.config().targets):
            raise HTTPException(404, f"target: {shorten(name)} is not configured")
        return name

    def _keynames(self, config: Config) -> KeyNames:
        """Return the writer of key names, which remembers what it wrote for as long as its settings stay."""
        if self._names is None or self._names[0] is not config.keys:
            self._names = (config.keys, KeyNames.of(config.keys, hash_secret_of(config.keys)))
        return self._names[1]


def authority(request: Request) -> str:
    """Say the `host:port` at which the client reached this process, as it says itself; otherwise as the socket does."""
    host = request.headers.get("host", "")
    if AUTHORITY.fullmatch(host):
        return host if PORT.search(host) else f"{host}:{443 if request.scope['scheme'] == 'https' else 80}"
    return join(*request.scope["server"])


def parameters(request: Request, *once: str, repeatable: tuple[str, ...] = ()) -> None:
    """Refuse unknown and repeated parameters: a misspelt filter that is ignored would show the wrong thing."""
    seen: set[str] = set()
    for name, _ in request.query_params.multi_items():
        if name not in {*once, *repeatable}:
            known = ", ".join((*once, *repeatable)) or "none"
            raise HTTPException(400, f"parameter {shorten(name)} is unknown here; known: {known}")
        if name in seen and name not in repeatable:
            raise HTTPException(400, f"{name}: given more than once")
        seen.add(name)


def collected(request: Request) -> frozenset[Collect]:
    """Read `collect[]`; empty where it is not given."""
    asked = request.query_params.getlist("collect[]")
    for one in asked:
        if one not in set(Collect):
            known = ", ".join(Collect)
            raise HTTPException(400, f"collect[]: {shorten(one)} is unknown, use one or more of {known}")
    return frozenset(map(Collect, asked))


def whole(request: Request, name: str, least: int, most: int) -> int | None:
    """Read a parameter that is a whole number, None where it is absent."""
    text = request.query_params.get(name)
    if text is None:
        return None
    # int() would also take spaces, signs, underscores and the digits of other scripts.
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and least <= int(text) <= most):
        raise HTTPException(400, f"{name}: {shorten(text)} is not a whole number from {least} to {most}")
    return int(text)


def shorten(text: str) -> str:
    """Quote what the client sent, on one line and of bounded length."""
    shown = ascii(text)
    return shown if len(shown) <= 80 else f"{shown[:76]}...'"
