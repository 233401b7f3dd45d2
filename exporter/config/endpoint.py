"""The address of one server: a URL in, a parsed and frozen Endpoint out.

Accepted are `redis://`, `rediss://`, `valkey://`, `valkeys://`, `unix://` and a bare `host:port`, each with
`user:password@`, and a database as `/N` or `?db=N`. A URL that cannot be read raises ValueError; its text names
the fault and never a part of the URL, which may be the password.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import unquote

from pydantic import SecretStr

DEFAULT_PORT = 6379
DEFAULT_SENTINEL_PORT = 26379
_TLS_OF_SCHEME = {"redis": False, "valkey": False, "rediss": True, "valkeys": True, "unix": False}
_HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,252}")
_DIGITS = re.compile(r"[0-9]{1,9}")
_ENCODE = "in a URL, a password with / ? # or @ must be percent-encoded"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a server listens and who we are there; a Unix socket has a `path` and neither `host` nor `port`.

    `others` are further addresses (`host:port`) of the same deployment.
    """

    tls: bool
    host: str
    port: int
    path: str | None
    username: str | None
    password: SecretStr | None
    db: int
    others: tuple[str, ...] = ()

    @property
    def addr(self) -> str:
        """The name of the node in labels: `host:port`, `[::1]:port` or `unix:PATH`."""
        return f"unix:{self.path}" if self.path else join(self.host, self.port)


def join(host: str, port: int) -> str:
    """`host:port`, with the brackets that an IPv6 address needs."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def parse(url: str, default_port: int = DEFAULT_PORT, *, several: bool = False) -> Endpoint:
    """Read a URL; raises ValueError that says what is wrong without repeating any of it.

    With `several` there may be more than one `host:port`, with commas between them.
    """
    if any(character.isspace() or not character.isprintable() for character in url):
        raise ValueError("the URL holds a space or a control character")
    scheme, rest = _scheme(url)
    if "#" in rest:
        raise ValueError(f"the URL holds a #; {_ENCODE}")
    rest, _, query = rest.partition("?")
    authority, slash, path = rest.partition("/")
    credentials, _, place = authority.rpartition("@")
    username, _, password = credentials.partition(":")
    if "@" in f"{path}?{query}" and scheme != "unix":
        raise ValueError(f"the URL has an @ too far to the right; {_ENCODE}")
    host, port, socket = "", 0, None
    others: tuple[str, ...] = ()
    if scheme == "unix":
        if place or not path:
            raise ValueError("a Unix socket is written with three slashes, unix:///path/to/redis.sock")
        socket, path = slash + unquote(path), ""
    else:
        place, *more = place.split(",") if several else [place]
        host, port = host_and_port(place, default_port)
        others = tuple(join(*host_and_port(one, default_port)) for one in more)
    return Endpoint(
        tls=_TLS_OF_SCHEME[scheme],
        host=host,
        port=port,
        path=socket,
        username=unquote(username) or None,
        password=SecretStr(unquote(password)) if password else None,
        db=_database(path, query),
        others=others,
    )


def _scheme(url: str) -> tuple[str, str]:
    """Split off the scheme, in lower case; a bare `host:port` is redis."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return ("unix", url[5:]) if url.startswith("unix:/") else ("redis", url)
    if scheme.lower() not in _TLS_OF_SCHEME:
        raise ValueError("the scheme must be redis, rediss, valkey, valkeys or unix")
    return scheme.lower(), rest


def _database(path: str, query: str) -> int:
    """Read the database number of `/N` or `?db=N`; 0 without either."""
    found = [path] if path else []
    for parameter in filter(None, query.split("&")):
        name, _, value = parameter.partition("=")
        if name != "db":
            raise ValueError(f"the URL has an unknown parameter, only db is known; {_ENCODE}")
        found.append(value)
    if not all(_DIGITS.fullmatch(number) for number in found):
        raise ValueError(f"the database must be a number, as in redis://host:6379/0; {_ENCODE}")
    if len(set(map(int, found))) > 1:
        raise ValueError("the URL names two databases")
    return int(found[0]) if found else 0


def host_and_port(text: str, default_port: int | None = None, *, lowest: int = 1) -> tuple[str, int]:
    """Split `host:port`, `host` or `[v6]:port`; without a port it is `default_port`, or ValueError if that is None."""
    bracketed = re.fullmatch(r"\[([^\]]*)\](?:(:)(.*))?", text)
    if bracketed:
        host, colon, port = bracketed[1], bracketed[2], bracketed[3] or ""
        if not _is_ipv6(host):
            raise ValueError("there is no valid IPv6 address between the brackets")
    else:
        host, colon, port = text.partition(":")
        if ":" in port:
            raise ValueError("there are several colons: an IPv6 address goes in brackets, as in [::1]:6379")
        if not host:
            raise ValueError("the host is missing")
        if not _HOST.fullmatch(host):
            raise ValueError("the host holds characters that no host name has")
    if not colon and default_port is not None:
        return host, default_port
    if not port:
        raise ValueError("the port is missing")
    if not _DIGITS.fullmatch(port):
        raise ValueError("the port is not a number")
    if not lowest <= int(port) <= 65535:
        raise ValueError(f"the port must be between {lowest} and 65535")
    return host, int(port)


def _is_ipv6(host: str) -> bool:
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        return False
    return True
