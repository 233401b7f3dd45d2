"""Stand-ins for what a test cannot have: time that obeys, and servers that are too old, ill or hostile.

`ReplayServer` behaves like a Redis before 6.2.4: no RESET, MONITOR lines before the reply, `SELECT` shown in the old
database, AUTH not shown. It replays captured MONITOR lines with fresh timestamps, and can be told to misbehave.
"""

from __future__ import annotations

import itertools
import re
import socket
import threading
import time
from collections import Counter
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

TICK_SECONDS = 0.005
GARBAGE = bytes(range(256)) + b"\r\n"
NOT_MONITORED = {b"AUTH", b"CLIENT", b"COMMAND", b"CONFIG", b"HELLO", b"MONITOR", b"SLOWLOG", b"LATENCY", b"QUIT"}
STAMP = re.compile(rb"\+?\d+\.\d{6} (?=\[)")
INFO = """
redis_version:{version} redis_mode:standalone process_id:1 run_id:{run_id} tcp_port:{port} uptime_in_seconds:{uptime}
connected_clients:{clients} used_memory:1048576 total_system_memory:8589934592 maxmemory:0 maxmemory_policy:noeviction
loading:0 total_commands_processed:{commands} instantaneous_ops_per_sec:{pace:.0f}
instantaneous_input_kbps:{input_kbps:.2f} keyspace_hits:0 keyspace_misses:0 evicted_keys:0
role:master connected_slaves:0 master_replid:{run_id} db0:keys=1,expires=0,avg_ttl=0
"""


class FakeClock:
    """A clock that moves only when told to: call it for the time in seconds, `sleep` passes it to code that waits."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        """The time."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds

    sleep = advance


# name, arity, flags, first key, last key, step: the fields of COMMAND before 7.0
_TABLE = """
get 2 readonly,fast 1 1 1       set -3 write,denyoom 1 1 1          setex 4 write,denyoom 1 1 1
mget -2 readonly,fast 1 -1 1    mset -3 write,denyoom 1 -1 2        del -2 write 1 -1 1
exists -2 readonly,fast 1 -1 1  expire 3 write,fast 1 1 1           incr 2 write,denyoom,fast 1 1 1
hget 3 readonly,fast 1 1 1      hset -4 write,denyoom,fast 1 1 1    hgetall 2 readonly 1 1 1
lpush -3 write,denyoom 1 1 1    rpop 2 write,fast 1 1 1             sadd -3 write,denyoom 1 1 1
zadd -4 write,denyoom 1 1 1     zunionstore -4 write,movablekeys 0 0 0  eval -3 noscript,movablekeys 0 0 0
evalsha -3 noscript,movablekeys 0 0 0  type 2 readonly,fast 1 1 1   pttl 2 readonly,fast 1 1 1
strlen 2 readonly,fast 1 1 1    object -2 readonly 2 2 1            memory -2 readonly,movablekeys 0 0 0
ping -1 fast 0 0 0              info -1 loading 0 0 0               select 2 loading,fast 0 0 0
time 1 random,loading 0 0 0     multi 1 noscript,fast 0 0 0         exec 1 noscript 0 0 0
monitor 1 admin,noscript 0 0 0  auth -2 noscript,loading 0 0 0
"""
_FIELDS = re.compile(r"([a-z]+) (-?\d+) ([a-z,]+) (-?\d+) (-?\d+) (-?\d+)")
COMMANDS = {name: (arity, flags.split(","), *keys) for name, arity, flags, *keys in _FIELDS.findall(_TABLE)}


def bulk(value: bytes | None) -> bytes:
    """A bulk string in RESP2, nil for None."""
    return b"$-1\r\n" if value is None else b"$%d\r\n%b\r\n" % (len(value), value)


def array(*items: bytes) -> bytes:
    """A RESP2 array of items that are encoded already."""
    return b"*%d\r\n" % len(items) + b"".join(items)


def quoted(argument: bytes) -> bytes:
    """One argument as MONITOR writes it."""
    names = {0x5C: b"\\\\", 0x22: b'\\"', 0x0A: b"\\n", 0x0D: b"\\r", 0x09: b"\\t", 0x07: b"\\a", 0x08: b"\\b"}
    printable = range(0x20, 0x7F)
    shown = (names.get(byte) or (bytes([byte]) if byte in printable else b"\\x%02x" % byte) for byte in argument)
    return b'"' + b"".join(shown) + b'"'


class Connection:
    """One client of the ReplayServer."""

    def __init__(self, number: int, link: socket.socket, peer: tuple[str, int]) -> None:
        self.number = number
        self.link = link
        self.addr = b"%b:%d" % (peer[0].encode(), peer[1])
        self.db = 0
        self.name = b""
        self.authenticated = False
        self.monitoring = False

    @property
    def described(self) -> bytes:
        """Its line in CLIENT LIST."""
        flags = b"O" if self.monitoring else b"N"
        fields = (self.number, self.addr, self.name, self.db, flags)
        return b"id=%d addr=%b name=%b db=%d flags=%b omem=0\n" % fields

    def send(self, data: bytes) -> None:
        """Send, or find out that the client has gone."""
        try:
            self.link.sendall(data)
        except OSError:
            self.monitoring = False

    def close(self) -> None:
        """End the connection, also under a thread that reads from it."""
        self.monitoring = False
        with suppress(OSError):
            self.link.shutdown(socket.SHUT_RDWR)
        self.link.close()


class ReplayServer:
    """An old Redis that replays `lines` (a captured MONITOR stream) to whoever monitors; a context manager.

    Lines pass at `pace` per second while somebody monitors and wait while nobody does, so each is fed exactly once,
    again and again if `loop`; `fed` counts them. Misbehaviour, to be changed at any time:
    `replies[b"MONITOR"]` is the raw reply to a command (`b"*"`: to every command), `greeting` is sent to a new client
    which is then turned away, `hung` reads and never answers, `clock_offset` sets its clock, with `misconf` it
    cannot write snapshots, and refuses PING before monitors see it. `asked` counts the commands received.
    """

    def __init__(
        self,
        lines: bytes = b"",
        *,
        pace: float = 1_000.0,
        loop: bool = True,
        version: str = "6.0.16",
        password: str = "",
    ) -> None:
        texts = (STAMP.sub(b"", line, count=1) for line in lines.split(b"\r\n"))
        self.lines = [text for text in texts if text.startswith(b"[")]
        self.pace = pace
        self.loop = loop
        self.version = version
        self.password = password
        self.replies: dict[bytes, bytes] = {}
        self.greeting = b""
        self.hung = False
        self.clock_offset = 0.0
        self.misconf = False
        self.fed = 0
        self.asked: Counter[bytes] = Counter()
        self._since_6 = int(version.partition(".")[0]) >= 6
        self._started = time.monotonic()
        self._numbers = itertools.count(3)
        self._connections: dict[int, Connection] = {}
        self._lock = threading.RLock()  # lines and replies reach a monitor whole and in order
        self._ended = threading.Event()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        for body in (self._accept, self._feed):
            self._run(body)
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.drop_clients()
        for thread in self._threads:
            thread.join(5)

    @property
    def addr(self) -> str:
        """Its `host:port`."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """Its URL, the password included."""
        return f"redis://{f':{self.password}@' if self.password else ''}{self.addr}/0"

    @property
    def monitors(self) -> int:
        """How many clients are in MONITOR mode."""
        return sum(connection.monitoring for connection in list(self._connections.values()))

    def drop_clients(self) -> None:
        """Close every connection."""
        for connection in list(self._connections.values()):
            connection.close()

    def _run(self, body: Callable[..., None], *args: Connection) -> None:
        thread = threading.Thread(target=body, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._ended.is_set():
            try:
                link, peer = self._listener.accept()
            except OSError:
                break
            connection = Connection(next(self._numbers), link, peer)
            if self.greeting:
                connection.send(self.greeting)
                connection.close()
                continue
            self._connections[connection.number] = connection
            self._run(self._serve, connection)
        self.drop_clients()

    def _serve(self, connection: Connection) -> None:
        with connection.link.makefile("rb") as stream:
            while (command := _read_command(stream)) is not None:
                name = command[0].upper()
                self.asked[name] += 1
                if self.hung:
                    continue
                with self._lock:
                    self._echo(connection, name, command)
                    connection.send(self._reply(connection, name, command))
                if name == b"QUIT":
                    break
        self._connections.pop(connection.number, None)
        connection.close()

    def _echo(self, connection: Connection, name: bytes, command: Sequence[bytes]) -> None:
        """What a real client's command looks like to monitors: shown before it runs, in the database it came in."""
        if self.misconf and name == b"PING":
            return
        known = name.decode("latin-1").lower() in COMMANDS or hasattr(self, f"_do_{name.decode('latin-1').lower()}")
        if known and name not in NOT_MONITORED and (connection.authenticated or not self.password):
            words = b" ".join(map(quoted, command))
            self._send_to_monitors([b"[%d %b] %b" % (connection.db, connection.addr, words)])

    def _send_to_monitors(self, texts: Sequence[bytes]) -> None:
        stamped = b"".join(b"+%.6f %b\r\n" % (time.time() + self.clock_offset, text) for text in texts)
        with self._lock:
            for connection in list(self._connections.values()):
                if connection.monitoring:
                    connection.send(stamped)

    def _feed(self) -> None:
        due, before = 0.0, time.monotonic()
        while not self._ended.wait(TICK_SECONDS):
            now = time.monotonic()
            left = len(self.lines) - self.fed if not self.loop else float("inf")
            if self.monitors and self.lines and left > 0:
                due += (now - before) * self.pace
                count = int(min(due, left))
                due -= count
                texts = [self.lines[(self.fed + n) % len(self.lines)] for n in range(count)]
                self.fed += count
                self._send_to_monitors(texts)
            before = now

    def _reply(self, connection: Connection, name: bytes, command: Sequence[bytes]) -> bytes:
        override = self.replies.get(name) or self.replies.get(b"*")
        if override is not None:
            return override
        if self.password and not connection.authenticated and name not in {b"AUTH", b"HELLO", b"QUIT"}:
            return b"-NOAUTH Authentication required.\r\n"
        handler = getattr(self, f"_do_{name.decode('latin-1').lower()}", None)
        if handler is not None:
            return bytes(handler(connection, *command[1:]))
        if name.decode("latin-1").lower() in COMMANDS:
            return bulk(None)
        return b"-ERR unknown command `%b`, with args beginning with: \r\n" % command[0]

    def _do_ping(self, _: Connection, *words: bytes) -> bytes:
        if self.misconf:
            return b"-MISCONF Redis is configured to save RDB snapshots, but it is unable to persist to disk.\r\n"
        return bulk(words[0]) if words else b"+PONG\r\n"

    def _do_echo(self, _: Connection, word: bytes = b"") -> bytes:
        return bulk(word)

    def _do_quit(self, *_: object) -> bytes:
        return b"+OK\r\n"

    def _do_time(self, *_: object) -> bytes:
        seconds, micros = divmod(int((time.time() + self.clock_offset) * 1e6), 1_000_000)
        return array(bulk(b"%d" % seconds), bulk(b"%d" % micros))

    def _do_select(self, connection: Connection, db: bytes = b"0") -> bytes:
        connection.db = int(db)
        return b"+OK\r\n"

    def _do_dbsize(self, *_: object) -> bytes:
        return b":1\r\n"

    def _do_type(self, *_: object) -> bytes:
        return b"+none\r\n"

    def _do_config(self, *_: object) -> bytes:
        return array()

    def _do_role(self, *_: object) -> bytes:
        return array(bulk(b"master"), b":0\r\n", array())

    def _do_info(self, _: Connection, section: bytes = b"") -> bytes:
        if section.startswith(b"hotkey-exporter"):
            return bulk(b"")  # a section that nobody knows
        text = INFO.format(
            version=self.version,
            run_id="5" * 40,
            port=self.port,
            uptime=int(time.monotonic() - self._started),
            clients=len(self._connections),
            commands=self.fed + self.asked.total(),
            pace=self.pace,
            input_kbps=self.pace * sum(map(len, self.lines)) / max(1, len(self.lines)) / 1024,
        )
        return bulk("".join(f"{field}\r\n" for field in text.split()).encode())

    def _do_auth(self, connection: Connection, *words: bytes) -> bytes:
        if not self.password:
            return b"-ERR AUTH <password> called without any password configured for the default user.\r\n"
        connection.authenticated = words[-1:] == (self.password.encode(),)
        if connection.authenticated:
            return b"+OK\r\n"
        return b"-WRONGPASS invalid username-password pair\r\n"

    def _do_hello(self, connection: Connection, *words: bytes) -> bytes:
        if not self._since_6:
            return b"-ERR unknown command `HELLO`, with args beginning with: \r\n"
        if words[1:2] and words[1].upper() == b"AUTH" and self._do_auth(connection, *words[2:4]) != b"+OK\r\n":
            return b"-WRONGPASS invalid username-password pair\r\n"
        if self.password and not connection.authenticated:
            return b"-NOAUTH HELLO must be called with the client already authenticated.\r\n"
        protocol = words[0] if words else b"2"
        fields = [bulk(b"server"), bulk(b"redis"), bulk(b"version"), bulk(self.version.encode())]
        fields += [bulk(b"proto"), b":%b\r\n" % protocol, bulk(b"id"), b":%d\r\n" % connection.number]
        fields += [bulk(b"mode"), bulk(b"standalone"), bulk(b"role"), bulk(b"master"), bulk(b"modules"), array()]
        return b"%%%d\r\n" % (len(fields) // 2) + b"".join(fields) if protocol == b"3" else array(*fields)

    def _do_client(self, connection: Connection, *words: bytes) -> bytes:
        match [word.upper() for word in words[:1]], words[1:]:
            case [b"ID"], _:
                return b":%d\r\n" % connection.number
            case [b"SETNAME"], (name,):
                connection.name = name
                return b"+OK\r\n"
            case [b"GETNAME"], _:
                return bulk(connection.name or None)
            case [b"LIST"], _:
                return bulk(b"".join(client.described for client in list(self._connections.values())))
            case [b"KILL"], (kind, number) if kind.upper() == b"ID":
                victim = self._connections.get(int(number))
                if victim is not None and victim is not connection:
                    victim.close()
                return b":%d\r\n" % (victim is not None)
        return b"-ERR Unknown subcommand or wrong number of arguments for CLIENT\r\n"

    def _do_command(self, _: Connection, *words: bytes) -> bytes:
        asked = [word.decode("latin-1").lower() for word in words]
        if asked[:1] == ["count"]:
            return b":%d\r\n" % len(COMMANDS)
        names = asked[1:] if asked[:1] == ["info"] else list(COMMANDS)
        return array(*(_described(name, since_6=self._since_6) for name in names))

    def _do_monitor(self, connection: Connection) -> bytes:
        if connection.monitoring:
            return b""  # a second MONITOR is ignored without an answer
        connection.monitoring = True
        return b"+OK\r\n"


def _described(name: str, *, since_6: bool) -> bytes:
    """One command's entry in the reply to COMMAND."""
    if name not in COMMANDS:
        return b"*-1\r\n"
    arity, flags, *keys = COMMANDS[name]
    shown = array(*(b"+%b\r\n" % flag.encode() for flag in flags))
    categories = [array(b"+@%b\r\n" % flags[0].encode())] if since_6 else []
    numbers = [b":%b\r\n" % str(number).encode() for number in (arity, *keys)]
    return array(bulk(name.encode()), numbers[0], shown, *numbers[1:], *categories)


def _read_command(stream: IO[bytes]) -> list[bytes] | None:
    """The next command that a client sends, None at its end."""
    try:
        while (line := stream.readline()).strip(b"\r\n") == b"":
            if not line:
                return None
        if line[:1] != b"*":
            return line.split()
        return [stream.read(int(stream.readline()[1:]) + 2)[:-2] for _ in range(int(line[1:]))]
    except (OSError, ValueError):
        return None
