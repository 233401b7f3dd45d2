"""CONFIG's limits: a few settings are asked for by name, so that no password ever crosses the wire."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.serverstats import BufferLimit, Limits
from exporter.stats.info import number, word

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.stats.info import Info
    from exporter.stats.reply import Reply

BUFFERS = "client-output-buffer-limit"
NUMBERS = ("databases", "cluster-databases", "io-threads", "maxclients", "maxmemory", "repl-backlog-size")
CLIENTS = "maxmemory-clients"
COMMANDLOG = "commandlog-*"
MOST_CLASSES = 8


def commands(version: tuple[int, int]) -> tuple[tuple[str, ...], ...]:
    """One CONFIG GET where it takes several names (Redis 7.0), else one for each."""
    names = (*NUMBERS, CLIENTS, BUFFERS, COMMANDLOG)
    if version >= (7, 0):
        return (("CONFIG", "GET", *names),)
    return tuple(("CONFIG", "GET", name) for name in names[:-1])


def read(_info: Info, replies: Sequence[Reply]) -> Limits:
    """The settings that are numbers, and the classes of output buffers."""
    settings: dict[str, str] = {}
    for reply in replies:
        if isinstance(reply, list):
            texts = [one.decode("utf-8", "replace") if isinstance(one, bytes) else "" for one in reply]
            settings |= dict(zip(texts[::2], texts[1::2], strict=False))
    known = {name: number(settings, name) for name in settings if name in {*NUMBERS, CLIENTS} or _is_commandlog(name)}
    values = {name: value for name, value in known.items() if value is not None}
    return Limits(values, _buffers(settings.get(BUFFERS, "")))


def _is_commandlog(name: str) -> bool:
    return name.startswith("commandlog-") and len(name) < 64


def _buffers(text: str) -> tuple[BufferLimit, ...]:
    """Read `normal 0 0 0 slave 268435456 67108864 60 …`."""
    words = text.split()[: 4 * MOST_CLASSES]
    found: dict[str, BufferLimit] = {}
    for start in range(0, len(words) - 3, 4):
        name, *sizes = words[start : start + 4]
        if all(size.isascii() and size.isdigit() and len(size) < 20 for size in sizes):
            hard, soft, seconds = map(float, sizes)
            found[name] = BufferLimit(word(name), hard, soft, seconds)
    return tuple(found.values())


def server_limit(limits: Limits) -> int:
    """The bytes at which the server ends a normal client that does not read; 0: never, or it does not say.

    Of `client-output-buffer-limit normal HARD SOFT SECONDS` and `maxmemory-clients` the smaller one counts. A
    percentage of maxmemory-clients is left out: what it means moves with maxmemory.
    """
    sizes = [buffer.hard for buffer in limits.buffers if buffer.client_class == "normal"]
    sizes.append(limits.values.get(CLIENTS, 0.0))
    return int(min((size for size in sizes if size > 0), default=0))
