"""Who may connect and what they may do: the web configuration file comes in, TLS contexts and verdicts go out.

The file and the certificates that it names are looked at again when somebody connects or asks, at most once a second;
if what is there cannot be used, the last good state stays.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException

from exporter.config import webfile
from exporter.errors import ConfigError, Problem
from exporter.log import Throttle, log
from exporter.tls import server_context, server_words
from exporter.tls.certificates import not_after, of_file
from exporter.web.answers import line
from exporter.web.passwords import Passwords, TooBusyError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from exporter.config.webfile import TlsServer

OPEN = frozenset({"/-/healthy", "/-/ready"})
"""Probes of an orchestrator, which has no password and learns nothing here."""
LOOK_SECONDS = 1.0
AUTHENTICATED = "hotkey_exporter.authenticated"
_CHALLENGE = {"WWW-Authenticate": 'Basic realm="hotkey-exporter", charset="UTF-8"'}


@dataclass(frozen=True, slots=True)
class Rules:
    """What one state of the file says; `not_after` maps web and ca to when the first certificate of each expires."""

    context: ssl.SSLContext | None = None
    passwords: Passwords = field(default_factory=lambda: Passwords({}))
    headers: Mapping[str, str] = field(default_factory=dict)
    asks_for_certificates: bool = False
    files: tuple[Path, ...] = ()
    not_after: Mapping[str, float] = field(default_factory=dict)


def rules_of(path: Path | None) -> Rules:
    """Read the file and the certificates that it names.

    Raises:
        ConfigError: they cannot be used.

    """
    if path is None:
        return Rules()
    found = webfile.read(path)
    tls, context = found.tls_server_config, None
    files = [path]
    if tls is not None:
        files += [file for file in (tls.cert_file, tls.key_file, tls.client_ca_file) if file is not None]
        try:
            context = server_context(tls)
        except OSError as error:
            raise ConfigError(Problem("web.config_file", f"tls_server_config: {server_words(error)}")) from None
    return Rules(
        context, Passwords(found.basic_auth_users), found.http_server_config.headers,
        tls is not None and tls.client_auth_type == "RequireAndVerifyClientCert", tuple(files),
        _not_after(tls) if tls is not None else {},
    )  # fmt: skip


def _not_after(tls: TlsServer) -> dict[str, float]:
    files = {"web": tls.cert_file, "ca": tls.client_ca_file}
    dates = {role: not_after(of_file(path)) for role, path in files.items() if path is not None}
    return {role: date for role, date in dates.items() if date is not None}


class Access:
    """The rules of the moment."""

    def __init__(self, path: Path | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._throttle = Throttle()
        self._path = path
        self._rules = rules_of(path)
        self._stamps = _stamps(self._rules.files)
        self._looked_at = clock()

    def use(self, path: Path | None) -> None:
        """Go by another file, or by the same one read again.

        Raises:
            ConfigError: it cannot be used, and the rules stay as they are.

        """
        rules = rules_of(path)
        self._path, self._rules, self._stamps = path, rules, _stamps(rules.files)

    @property
    def rules(self) -> Rules:
        """The last good state of the file."""
        now = self._clock()
        if self._path is not None and now - self._looked_at >= LOOK_SECONDS:
            self._looked_at = now
            if (stamps := _stamps(self._rules.files)) != self._stamps:
                self._stamps = stamps
                self._read_again(self._path)
        return self._rules

    def _read_again(self, path: Path) -> None:
        try:
            self.use(path)
        except ConfigError as unusable:
            for problem in unusable.problems:
                self._throttle.warning(
                    str(problem), "web.config_rejected", "the web configuration in use stays", problem=str(problem)
                )
        else:
            log.info("web.config_reloaded", "the web configuration was read again")


def _stamps(files: tuple[Path, ...]) -> tuple[object, ...]:
    stamps: list[object] = []
    for file in files:
        try:
            found = file.stat()
            stamps.append((found.st_mtime_ns, found.st_size, found.st_ino))
        except OSError:
            stamps.append(None)
    return tuple(stamps)


class Gate:
    """Lets in who the rules let in, notes whether that was by proof, and adds the configured headers."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        rules = self._access.rules

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start" and rules.headers:
                headers = MutableHeaders(raw=message["headers"])
                for name, value in rules.headers.items():
                    headers[name] = value
                message["headers"] = headers.raw
            await send(message)

        scope[AUTHENTICATED] = bool(rules.passwords) or rules.asks_for_certificates
        if rules.passwords and scope["path"] not in OPEN:
            said = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
            try:
                client = (scope.get("client") or ("",))[0]
                verified = await rules.passwords.verified(said.decode("latin-1"), client)
            except TooBusyError:
                await line("503: too many passwords are being checked", 503)(scope, receive, with_headers)
                return
            if not verified:
                await line("401: a user name and a password are needed", 401, _CHALLENGE)(scope, receive, with_headers)
                return
        await self._app(scope, receive, with_headers)


def changing(endpoint: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """Wrap an endpoint that changes something: only for who has proven who they are, and not from another site's page.

    A browser sends the password along with whatever a foreign page makes it send; it also says where that came from.
    """

    async def guarded(request: Request) -> Response:
        if not request.scope.get(AUTHENTICATED):
            raise HTTPException(
                403,
                "changes over HTTP need authentication (users or client certificates in web.config_file); "
                "SIGHUP reloads without",
            )
        origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site", "same-origin")
        host = request.headers.get("host", "")
        if site not in {"same-origin", "none"} or (origin is not None and origin.partition("://")[2] != host):
            raise HTTPException(403, "this request comes from a page of another site")
        return await endpoint(request)

    return guarded
