"""PROVISIONAL by the lead so that integration can be tried; helper-1 overwrites this file."""
from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Access:
    key: bytes
    write: bool
class CommandTable:
    @classmethod
    def builtin(cls): return cls()
    @classmethod
    def from_reply(cls, reply): return cls()
    def accesses(self, argv):
        c = argv[0].upper()
        if c in (b"MGET", b"DEL", b"EXISTS"): return [Access(k, c == b"DEL") for k in argv[1:]]
        if c in (b"PING", b"INFO", b"EVAL", b"AUTH", b"CLIENT", b"SELECT", b"COMMAND", b"HELLO", b"MULTI", b"EXEC", b"TIME", b"SCRIPT", b"EVALSHA"): return []
        if c in (b"MEMORY", b"OBJECT"): return [Access(argv[2], False)]
        return [Access(argv[1], c in (b"SET", b"INCR", b"INCRBY", b"HSET", b"LPUSH"))] if len(argv) > 1 else []
