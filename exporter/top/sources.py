"""Where `top` reads from: a running exporter over HTTP, or a server that this process watches itself.

Both give the documents of `/api/v1/hotkeys` and `/api/v1/hotkeys/KEY`; names from a server of our own are in clear.
"""

from __future__ import annotations

import http.client
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol

from exporter.errors import CommandFailed, ConfigError, Problem
from exporter.fleet import Fleet
from exporter.keynames import KeyNames
from exporter.snapshot import Board, HotKeys, NodeStatus, SamplingState
from exporter.views import details, hotkeys
from exporter.views.reading import Moment, read
from exporter.views.words import NEXT

if TYPE_CHECKING:
    from exporter.config import Config, Sampling, Target
    from exporter.meters import Meters
    from exporter.top.table import Place

TIMEOUT_SECONDS = 5.0
FIRST_SECONDS = 8.0
"""How long a server of our own may take until it has figures; then it is shown without."""
ENRICH_SECONDS = 5.0
_LARGEST_ANSWER = 16 << 20


class Source(Protocol):
    """Gives the latest figures; `close` ends what was started for it."""

    name: str

    def read(self, limit: int) -> dict[str, Any]:
        """The document of `/api/v1/hotkeys`.

        Raises:
            CommandFailed: there is none, and why.

        """
        ...

    def details(self, place: Place) -> dict[str, Any]:
        """The document of `/api/v1/hotkeys/KEY`.

        Raises:
            CommandFailed: there is none, and why.

        """
        ...

    def problem(self) -> str:
        """Why there are no figures; empty while there are."""
        ...

    def close(self) -> None:
        """End it."""
        ...


class FromExporter:
    """A running exporter; user and password may stand in the URL."""

    def __init__(self, url: str) -> None:
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ConfigError(Problem("--exporter", "must be a URL like http://host:9468"))
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        port = f":{parts.port}" if parts.port else ""
        self.name = f"{host}{port}"
        self._url = f"{parts.scheme}://{host}{port}{parts.path.rstrip('/')}/api/v1/hotkeys"
        handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
        if parts.username:
            passwords = urllib.request.HTTPPasswordMgrWithPriorAuth()
            user, password = urllib.parse.unquote(parts.username), urllib.parse.unquote(parts.password or "")
            passwords.add_password(None, self._url, user, password, is_authenticated=True)
            handlers.append(urllib.request.HTTPBasicAuthHandler(passwords))
        self._opener = urllib.request.build_opener(*handlers)

    def read(self, limit: int) -> dict[str, Any]:
        """Ask the exporter."""
        document = self._ask(f"{self._url}?limit={limit}")
        if not isinstance(document.get("hotkeys"), list):
            raise CommandFailed(f"{self.name}: the answer is not an exporter's")
        return document

    def details(self, place: Place) -> dict[str, Any]:
        """Ask the exporter, which looks closely at the key from then on."""
        target, addr, db, key = place
        where = {"target": target, "node": addr, "db": db}
        said = urllib.parse.urlencode({name: value for name, value in where.items() if value is not None})
        # Dots would be taken for steps up and down the path by proxies on the way.
        name = urllib.parse.quote(key, safe="").replace(".", "%2E")
        return self._ask(f"{self._url}/{name}?{said}", "the key is not among the hot keys any more")

    def _ask(self, url: str, absent: str = "") -> dict[str, Any]:
        """The JSON object that the exporter answers; `absent` is what a 404 means."""
        try:
            with self._opener.open(url, timeout=TIMEOUT_SECONDS) as answer:
                document = json.loads(answer.read(_LARGEST_ANSWER))
        except urllib.error.HTTPError as error:
            if absent and error.code == HTTPStatus.NOT_FOUND:
                raise CommandFailed(f"{self.name}: {absent}") from None
            hint = "; give user and password in the URL" if error.code == HTTPStatus.UNAUTHORIZED else ""
            raise CommandFailed(f"{self.name}: answered {error.code}{hint}") from None
        except urllib.error.URLError as error:
            why = error.reason if isinstance(error.reason, str) else getattr(error.reason, "strerror", None)
            raise CommandFailed(
                f"{self.name}: {why or 'cannot be reached'}; is an exporter there? Its port is 9468 by default"
            ) from None
        except (OSError, http.client.HTTPException):
            raise CommandFailed(f"{self.name}: the connection failed") from None
        except ValueError:
            raise CommandFailed(f"{self.name}: the answer is not an exporter's") from None
        if not isinstance(document, dict):
            raise CommandFailed(f"{self.name}: the answer is not an exporter's")
        return document

    def problem(self) -> str:
        """The exporter's own pages say more."""
        return ""

    def close(self) -> None:
        """Nothing was started."""


def _beside_others(target: Target) -> Sampling:
    """Who looks for a moment does not wait for the exporter that samples all day."""
    return target.sampling.model_copy(update={"beside_others": True})


class FromServer:
    """Servers that this process watches for as long as it is looked at; key names are written in clear."""

    def __init__(self, config: Config, meters: Meters) -> None:
        clear = config.keys.model_copy(update={"privacy": "clear", "mask": ()})
        off = {"enabled": False}
        quiet = {"keyspace": config.keyspace.model_copy(update=off), "enrich": config.enrich.model_copy(update=off)}
        targets = tuple(target.model_copy(update={"sampling": _beside_others(target)}) for target in config.targets)
        self._config = config.model_copy(update={"keys": clear, "targets": targets, **quiet})
        self._names = KeyNames.of(clear, b"")
        self._board = Board()
        self._fleet = Fleet(self._board, meters)
        self._enriched_at = float("-inf")
        self.name = ", ".join(target.name for target in config.targets)
        self._fleet.become(self._config)

    def read(self, limit: int) -> dict[str, Any]:
        """The latest figures; the first time this waits until there are any, or a reason why not."""
        deadline = time.monotonic() + FIRST_SECONDS
        while not self._decided() and time.monotonic() < deadline:
            time.sleep(0.05)
        if time.monotonic() - self._enriched_at >= ENRICH_SECONDS:
            self._fleet.enrich()
            self._enriched_at = time.monotonic()
        now = Moment(time.monotonic(), time.time())
        return hotkeys.api(read(self._board, self._config, now), self._names, now, limit)

    def details(self, place: Place) -> dict[str, Any]:
        """What is known of a key, which is looked at closely from then on."""
        target, addr, db, key = place
        now = Moment(time.monotonic(), time.time())
        readings = read(self._board, self._config, now, target)
        found = details.matches(readings, self._names, details.Wanted(key, addr, db))
        if not found:
            raise CommandFailed("the key is not among the hot keys any more")
        return details.api(details.look_closely(self._board, found[0], now), now)

    def problem(self) -> str:
        """What is wrong with the first node that has no figures."""
        for node in self._board.nodes:
            status, state = self._board.latest(node, NodeStatus), self._board.latest(node, SamplingState)
            if status is not None and status.down is not None:
                hint = f"; {NEXT[status.down]}" if status.down in NEXT else ""
                return (status.detail or status.down) + hint
            if state is not None and state.source.value == "none":
                return f"{node.addr}: no hot keys: {state.reason}"
        return ""

    def close(self) -> None:
        """End all threads and connections."""
        self._fleet.stop()

    def _decided(self) -> bool:
        """Whether every node has figures or a reason for having none."""
        return all(
            _says_something(self._board.latest(node, HotKeys))
            or ((status := self._board.latest(node, NodeStatus)) is not None and status.down is not None)
            or ((state := self._board.latest(node, SamplingState)) is not None and state.source.value == "none")
            for node in self._board.nodes
        )


def _says_something(hot: HotKeys | None) -> bool:
    """Whether there are keys, or a whole second of the server's had none: the first one may have been a moment only."""
    return hot is not None and (bool(hot.keys) or hot.observed_seconds >= 2.0 * hot.duty_ratio > 0.0)
