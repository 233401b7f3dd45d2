"""From an Item to the commands that write it, and from their replies to what became of it. Pure.

Nothing is written without its life in the same command: a process that dies between two commands leaves no key behind
that never expires. Collections go through one script, which is atomic.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import redis

from exporter.warming.items import Item, Result

if TYPE_CHECKING:
    from collections.abc import Sequence

Command = tuple[str | bytes | int, ...]

# MEMORY USAGE asks for existence without counting as a hit or a miss, as EXISTS would.
SCRIPT = """\
local there = ARGV[1] ~= 'always' and redis.call('MEMORY', 'USAGE', KEYS[1], 'SAMPLES', 1)
if ARGV[1] == 'nx' and there then return 0 end
if ARGV[1] == 'xx' and not there then return 0 end
if ARGV[1] ~= 'nx' then redis.call('DEL', KEYS[1]) end
if ARGV[3] == 'RESTORE' then
  redis.call('RESTORE', KEYS[1], ARGV[2], ARGV[4])
  return 1
end
for i = 4, #ARGV, 1000 do
  redis.call(ARGV[3], KEYS[1], unpack(ARGV, i, math.min(i + 999, #ARGV)))
end
if ARGV[2] ~= '0' then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 1
"""
ON_REDIS = {"db.system.name": "redis"}
_WRITERS = {"hash": "HSET", "list": "RPUSH", "set": "SADD", "zset": "ZADD"}
KINDS = frozenset({"string", "dump", *_WRITERS})


def command(item: Item, policy: str) -> Command:
    """The one command that writes an item under `nx`, `xx` or `always` (behind a fence: `nx`)."""
    life = item.life_ms
    if item.kind == "string":
        expiry: Command = () if life is None else ("PX", life)
        condition: Command = () if policy == "always" else (policy.upper(),)
        return ("SET", item.key, item.elements[0], *expiry, *condition)
    if item.kind == "dump" and policy != "xx":
        replace: Command = ("REPLACE",) if policy == "always" else ()
        return ("RESTORE", item.key, life or 0, item.elements[0], *replace)
    writer = "RESTORE" if item.kind == "dump" else _WRITERS[item.kind]
    return ("EVAL", SCRIPT, 1, item.key, policy, life or 0, writer, *item.elements)


def result(reply: Any, policy: str) -> Result:
    """What a reply says about its item; an error reply other than "it exists" is a failure."""
    if isinstance(reply, redis.ResponseError):
        return Result.EXISTS if is_busy(reply) else Result.FAILED
    if is_done(reply):
        return Result.REFRESHED if policy == "xx" else Result.WRITTEN
    return Result.EXISTS if policy == "nx" else Result.SKIPPED


def is_done(reply: Any) -> bool:
    """Whether the command has written."""
    return not isinstance(reply, redis.ResponseError) and reply in {b"OK", 1}


def is_busy(reply: Any) -> bool:
    """Whether RESTORE found the key."""
    return isinstance(reply, redis.ResponseError) and "BUSYKEY" in _words(reply)


def is_other_version(reply: Any) -> bool:
    """Whether RESTORE does not know this version of DUMP."""
    return isinstance(reply, redis.ResponseError) and "DUMP payload version" in _words(reply)


def refusals(replies: Sequence[Any]) -> str | None:
    """What error replies say about the whole server: it is full (`memory`), or a replica (`role`)."""
    return next((reason for reply in replies for kind, reason in _CLASSES.items() if isinstance(reply, kind)), None)


_CLASSES: dict[type[Exception], str] = {
    redis.exceptions.OutOfMemoryError: "memory",
    redis.exceptions.ReadOnlyError: "role",
}


def _words(reply: redis.ResponseError) -> str:
    """The text of an error reply with its first word, which redis-py takes off for the errors that it knows."""
    return f"{getattr(reply, 'status_code', None) or ''} {reply}".strip()
