"""The endpoints: a request and the Board in, the view's answer out. Nothing here touches Redis."""

from __future__ import annotations

import hashlib
import platform
from importlib.resources import files
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException

from exporter import __version__
from exporter.config import hash_secret_of
from exporter.keynames import KeyNames
from exporter.snapshot import NodeStatus
from exporter.views import alerts, health, hotkeys
from exporter.views.exposition import negotiate
from exporter.views.families import Collect
from exporter.views.metrics import MetricsView
from exporter.views.page import page
from exporter.views.reading import read
from exporter.views.status import Build, status
from exporter.web.answers import HTML, JSON, all_of, answer, line, to_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from exporter.config import Config, Keys
    from exporter.meters import Meters
    from exporter.snapshot import Board
    from exporter.views.health import Liveness
    from exporter.views.reading import Moment

ASSETS = {"page.css": "text/css; charset=utf-8", "page.js": "text/javascript; charset=utf-8"}
_FOR_EVER = {"Cache-Control": "public, max-age=31536000, immutable"}


class Site:
    """All endpoints. Runs in the event loop's thread only, which is what its caches rely on."""

    def __init__(
        self,
        board: Board,
        config_of: Callable[[], Config],
        meters: Meters,
        liveness: Callable[[], Liveness],
        clock: Callable[[], Moment],
    ) -> None:
        self._board = board
        self._config_of = config_of
        self._meters = meters
        self._liveness = liveness
        self._clock = clock
        self._build = Build(__version__, platform.python_version(), clock())
        self._metrics = MetricsView()
        self._names: tuple[Keys, KeyNames] | None = None
        self._assets = {name: (files("exporter.views") / "assets" / name).read_bytes() for name in ASSETS}
        # The content is in the URL, so a browser may keep it for ever and still sees the next release at once.
        self._urls = {
            name: f"assets/{name}?v={hashlib.sha256(body).hexdigest()[:8]}" for name, body in self._assets.items()
        }

    async def metrics(self, request: Request) -> Response:
        """`/metrics`, with `collect[]` and `target`."""
        parameters(request, "target", repeatable=("collect[]",))
        config, target = self._config_of(), self._target(request)
        asked = request.query_params.getlist("collect[]")
        for one in asked:
            if one not in set(Collect):
                known = ", ".join(Collect)
                raise HTTPException(400, f"collect[]: {shorten(one)} is unknown, use one or more of {known}")
        # The process belongs to no target: two scrapes of two targets should not both count it, unless asked to.
        collect = frozenset(map(Collect, asked)) or frozenset(Collect) - ({Collect.SELF} if target else set())
        now = self._clock()
        every = read(self._board, config, now)
        self._board.scraped_at = now.monotonic
        self._metrics.forget(every)
        readings = tuple(one for one in every if target in {None, one.node.target})
        form = negotiate(all_of(request, "accept"))
        own = self._meters.families() if Collect.SELF in collect else ()
        body = self._metrics.render(readings, self._keynames(config), form, collect, own)
        return await answer(request, body, form.content_type)

    async def page(self, request: Request) -> Response:
        """`/`: the page."""
        config, now = self._config_of(), self._clock()
        names, readings = self._keynames(config), read(self._board, config, now)
        active = alerts.active(readings, config, names)
        return await answer(request, page(readings, active, names, now, __version__, self._urls), HTML)

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
        config, now, target = self._config_of(), self._clock(), self._target(request)
        limit = whole(request, "limit", 1, hotkeys.MOST_KEYS)
        db = whole(request, "db", 0, 2**31 - 1)
        readings = read(self._board, config, now, target)
        names = self._keynames(config)
        shown = hotkeys.api(readings, names, now, config.sampling.top if limit is None else limit, db)
        return await answer(request, to_json(shown), JSON)

    async def status(self, request: Request) -> Response:
        """`/api/v1/status`."""
        parameters(request)
        config, now = self._config_of(), self._clock()
        readings = read(self._board, config, now)
        return await answer(request, to_json(status(readings, config, self._liveness(), self._build, now)), JSON)

    async def health(self, request: Request) -> Response:
        """`/health`: 503 when a part of this process has ended."""
        liveness = self._liveness()
        uptime = self._clock().monotonic - self._build.started.monotonic
        body = to_json(health.process(liveness, __version__, uptime))
        return await answer(request, body, JSON, 200 if all(liveness.values()) else 503)

    async def health_redis(self, request: Request) -> Response:
        """`/health/redis`, with `target`: 503 when a target is down."""
        parameters(request, "target")
        config, now, target = self._config_of(), self._clock(), self._target(request)
        readings = read(self._board, config, now, target)
        down = health.down_targets(readings, config, target)
        body = to_json(health.redis(readings, self._keynames(config), now, down))
        return await answer(request, body, JSON, 503 if down else 200)

    async def health_alerts(self, request: Request) -> Response:
        """`/health/redis-alerts`, with `target`."""
        parameters(request, "target")
        config, now, target = self._config_of(), self._clock(), self._target(request)
        active = alerts.active(read(self._board, config, now, target), config, self._keynames(config))
        return await answer(request, to_json(alerts.answer(active, now)), JSON)

    async def healthy(self, _request: Request) -> Response:
        """`/-/healthy`: this process answers."""
        return line("healthy")

    async def ready(self, _request: Request) -> Response:
        """`/-/ready`: every node was asked at least once, whatever it said."""
        waiting = sum(self._board.latest(node, NodeStatus) is None for node in self._board.nodes)
        return line(f"not ready: {waiting} nodes not asked yet", 503) if waiting else line("ready")

    async def reload(self, _request: Request) -> Response:
        """`POST /-/reload`: refused, since nobody could prove to be allowed to."""
        return line("403: changes over HTTP need authentication; send SIGHUP to the process to reload", 403)

    def _target(self, request: Request) -> str | None:
        name = request.query_params.get("target")
        if name is not None and all(name != one.name for one in self._config_of().targets):
            raise HTTPException(404, f"target: {shorten(name)} is not configured")
        return name

    def _keynames(self, config: Config) -> KeyNames:
        """Return the writer of key names, which remembers what it wrote for as long as its settings stay."""
        if self._names is None or self._names[0] is not config.keys:
            self._names = (config.keys, KeyNames.of(config.keys, hash_secret_of(config.keys)))
        return self._names[1]


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
