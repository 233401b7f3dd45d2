"""The keys we find are the keys that servers find: generated commands, and `COMMAND GETKEYS` as the judge."""

from __future__ import annotations

import random
import socket
from itertools import islice
from typing import TYPE_CHECKING, Any

import pytest
import redis

from exporter.monitor import parse
from exporter.monitor.keys import Access, CommandTable, Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from tests.servers import Server, StartServer

Argv = list[bytes]

LISTS_PER_COMMAND = 16
LISTS_PER_SHAPE = 28
PIPELINED = 500
SHOWN = 12

SHAPES = """
    SET k v|SET k v EX 5 NX GET|SET k v GET|SET k v KEEPTTL XX|GETEX k PERSIST|GETDEL k|GETSET k v
    MGET k k k|MSET k v k v|MSETNX k v k v|MSETEX 2 k v k v EX 5|DEL k k|UNLINK k k|EXISTS k k|TOUCH k k|WATCH k k
    COPY k k DB 3 REPLACE|RENAME k k|RENAMENX k k|SMOVE k k v|RPOPLPUSH k k|LMOVE k k LEFT RIGHT
    BLMOVE k k LEFT RIGHT 0.1|BRPOPLPUSH k k 1|BLPOP k k 1|BRPOP k 0|BZPOPMIN k k 1|BZPOPMAX k 1
    LMPOP 2 k k LEFT COUNT 3|LMPOP 1 k RIGHT|BLMPOP 0.1 2 k k LEFT|ZMPOP 2 k k MIN COUNT 2|BZMPOP 1 2 k k MAX
    BITOP AND k k k|BITOP NOT k k|BITFIELD k GET u8 0|BITFIELD k GET u8 0 SET u8 0 5|BITFIELD k OVERFLOW SAT
    BITFIELD k|BITFIELD k OVERFLOW FAIL GET u4 #1|BITFIELD k INCRBY u2 100 1|BITFIELD_RO k GET u8 0
    SORT k|SORT k BY w_* LIMIT 0 5 GET # GET d_* ASC ALPHA STORE k|SORT k STORE k STORE k|SORT k BY STORE STORE k
    SORT k GET STORE|SORT_RO k BY w_* GET d_*|SORT k LIMIT 0 STORE k
    GEORADIUS k 1 2 3 km STORE k|GEORADIUS k 1 2 3 km WITHDIST COUNT 3 ASC STOREDIST k|GEORADIUS k 1 2 3 km
    GEORADIUS k 1 2 3 km STORE k STOREDIST k|GEORADIUSBYMEMBER k m 3 km STORE k|GEORADIUSBYMEMBER k m 3 km
    GEORADIUSBYMEMBER k STORE 3 km STOREDIST k STORE k|GEORADIUS_RO k 1 2 3 km|GEORADIUSBYMEMBER_RO k m 3 km
    GEOSEARCH k FROMLONLAT 1 2 BYRADIUS 3 km|GEOSEARCHSTORE k k FROMMEMBER m BYBOX 1 2 km STOREDIST
    ZUNIONSTORE k 2 k k WEIGHTS 1 2 AGGREGATE MAX|ZINTERSTORE k 1 k|ZDIFFSTORE k 2 k k|ZUNION 2 k k WITHSCORES
    ZINTER 2 k k WEIGHTS 1 2|ZDIFF 1 k WITHSCORES|ZINTERCARD 2 k k LIMIT 5|SINTERCARD 2 k k LIMIT 5|ZUNIONSTORE k 9 k
    ZINTERSTORE k 0 k|ZUNIONSTORE k -1 k|ZUNION +2 k k|ZUNION 02 k k|ZUNION 2x k k|ZUNION 99999999999999999999 k
    ZRANGESTORE k k 0 -1|SUNIONSTORE k k k|SDIFFSTORE k k|PFMERGE k|PFMERGE k k k|PFCOUNT k k|PFADD k v
    XREAD STREAMS k 0|XREAD COUNT 2 BLOCK 5 STREAMS k k 0 0|XREAD BLOCK 5 STREAMS STREAMS k 0 0|XREAD STREAMS k k 0
    XREADGROUP GROUP g c STREAMS k >|XREADGROUP GROUP STREAMS c STREAMS k >|XREADGROUP GROUP g STREAMS STREAMS k >
    XREADGROUP GROUP g c COUNT 1 NOACK STREAMS k k > >|XREADGROUP COUNT 1 GROUP g c STREAMS k >
    XREADGROUP COUNT 1 GROUP STREAMS c STREAMS k >|XREADGROUP COUNT 1 GROUP g STREAMS STREAMS k >
    XREADGROUP GROUP g c COUNT STREAMS STREAMS k 0|XREADGROUP GROUP g c CLAIM 5 STREAMS k >|XREAD GROUP g c STREAMS k 0
    XGROUP CREATE k g $ MKSTREAM|XGROUP DESTROY k g|XGROUP SETID k g 0|XGROUP CREATECONSUMER k g c|XGROUP HELP
    XGROUP DELCONSUMER k g c|XINFO STREAM k FULL COUNT 2|XINFO GROUPS k|XINFO CONSUMERS k g|XINFO HELP
    XADD k MAXLEN ~ 5 * f v|XDEL k 1-1|XACK k g 1-1|XCLAIM k g c 0 1-1|XAUTOCLAIM k g c 0 0|XTRIM k MAXLEN 5
    MIGRATE 127.0.0.1 1 k 0 5|MIGRATE h 1 "" 0 5 KEYS k k|MIGRATE h 1 "" 0 5 COPY REPLACE AUTH KEYS KEYS k
    MIGRATE h 1 "" 0 5 AUTH2 KEYS KEYS KEYS k|MIGRATE h 1 k 0 5 REPLACE AUTH p|MIGRATE h 1 k 0 5 KEYS k
    MIGRATE h 1 "" 0 5|MIGRATE h 1 "" 0 5 KEYS|MIGRATE h 1 KEYS 0 5 COPY
    OBJECT ENCODING k|OBJECT FREQ k|OBJECT IDLETIME k|OBJECT REFCOUNT k|OBJECT HELP|MEMORY USAGE k SAMPLES 5
    MEMORY USAGE k|MEMORY DOCTOR|MEMORY HELP|DEBUG OBJECT k|PFDEBUG GETREG k|LCS k k LEN|STRALGO LCS KEYS k k
    STRALGO LCS STRINGS KEYS k k|STRALGO LCS IDX KEYS k k|STRALGO LCS LEN STRINGS a b
    PUBLISH k v|SPUBLISH k v|SUBSCRIBE k|SSUBSCRIBE k k|SUNSUBSCRIBE k|PUBSUB NUMSUB k|SCAN 0 MATCH k|KEYS k
    LATENCY HISTORY k|CONFIG GET k|CLIENT SETNAME k|COMMAND GETKEYS GET k|COMMAND GETKEYSANDFLAGS GET k
    CLUSTER KEYSLOT k|RANDOMKEY|SWAPDB 0 1|SELECT 3|PING k|ECHO k|RESTORE k 0 v REPLACE|RESTORE-ASKING k 0 v
    HSET k f v|HGETALL k|HMSET k f v|HEXPIRE k 5 FIELDS 1 f|HGETEX k FIELDS 1 f|HSETEX k FIELDS 1 f v
    DELEX k IFEQ v|DELIFEQ k v|VADD k VALUES 2 1 2 v|VSIM k ELE v|HIMPORT SET k f v|XACKDEL k g KEEPREF IDS 1 1-1
    CLUSTERSCAN 0|BLMOVEM k k LEFT RIGHT 1|LMOVEM k k LEFT RIGHT 1|MOVE k 3|EXPIRE k 5|LPOS k v|GETRANGE k 0 1
"""
WORDS = (
    b"STORE STOREDIST STREAMS KEYS LIMIT WEIGHTS GROUP BY GET COUNT BLOCK AGGREGATE STRINGS AUTH AUTH2 COPY REPLACE "
    b"NOACK CLAIM LEFT MIN NX EX SET OVERFLOW SAT INCRBY u8 # * ASC get store 0 1 2 3 9 -1 > $"
).split()


class Generator:
    """Plausible argument lists, the same ones in every run."""

    def __init__(self, entries: Sequence[Any]) -> None:
        self._random = random.Random(20_240_607)
        self._entries = sorted(entries)  # the server's order differs from run to run
        self._arity: dict[tuple[bytes, ...], int] = {}

    def lists(self) -> Iterator[Argv]:
        """Lists of a length that the server takes: it refuses others before MONITOR can show them."""
        for entry in self._entries:
            yield from self._of(entry, (bytes(entry[0]),))
        for shape in SHAPES.replace("\n", "|").split("|"):
            words = shape.encode().split()
            if words and (words[0].lower(),) in self._arity:
                yield from filter(self._is_taken, (self.filled(words) for _ in range(LISTS_PER_SHAPE // 4)))
                yield from filter(self._is_taken, (self._shaped(words) for _ in range(LISTS_PER_SHAPE)))

    def _of(self, entry: Sequence[Any], name: tuple[bytes, ...]) -> Iterator[Argv]:
        self._arity[tuple(word.lower() for word in name)] = arity = int(entry[1])
        for _ in range(LISTS_PER_COMMAND):
            argv = [*map(self._cased, name), *self._arguments(arity, abs(arity) - len(name))]
            if len(entry) > 8 and self._random.random() < 0.7:
                self._follow(argv, entry[8])
            if self._is_taken(argv):
                yield argv
        for sub in sorted(entry[9]) if len(entry) > 9 else ():
            yield from self._of(sub, (name[0], bytes(sub[0]).partition(b"|")[2]))

    def _arguments(self, arity: int, least: int) -> Argv:
        more = 0 if arity > 0 else self._random.choice((0, 0, 1, 1, 2, 3, 4, 5, 9))
        return [self._argument() for _ in range(max(least, 0) + more)]

    def _follow(self, argv: Argv, specs: Sequence[Any]) -> None:
        """Put keywords and numbers of keys where the key specifications look for them."""
        for spec in map(_mapping, specs):
            begin, find = _mapping(spec[b"begin_search"]), _mapping(spec[b"find_keys"])
            where, how = _mapping(begin[b"spec"]), _mapping(find[b"spec"])
            if b"keyword" in where and len(argv) > 3:
                argv[self._random.randrange(2, len(argv))] = self._cased(where[b"keyword"])
            if b"keynumidx" in how and (place := where[b"index"] + how[b"keynumidx"]) < len(argv):
                true = max((len(argv) - place - 1) // max(how[b"keystep"], 1), 0)
                argv[place] = b"%d" % max(true + self._random.choice((0, 0, 0, -1, -2, 1)), 0)

    def _shaped(self, words: Sequence[bytes]) -> Argv:
        """Fill in a shape, with up to two arguments changed, put in or left out."""
        argv = self.filled(words)
        for _ in range(self._random.choice((0, 1, 1, 2))):
            place = self._random.randrange(1, len(argv) + 1)
            argv[place : place + self._random.choice((0, 1))] = [
                self._argument() for _ in range(self._random.choice((0, 1, 1)))
            ]
        return argv

    def filled(self, words: Sequence[bytes]) -> Argv:
        """Fill in a shape: `k` stands for a key, `""` for nothing, words may be in any case."""
        plain = {b"k": self._key, b'""': bytes}
        return [plain[word]() if word in plain else self._cased(word) for word in words]

    def _is_taken(self, argv: Argv) -> bool:
        """Whether the server knows the command and takes that many arguments."""
        names = tuple(word.lower() for word in argv[:2])
        arity = self._arity.get(names) or self._arity[names[:1]]
        return len(argv) == arity if arity > 0 else len(argv) >= -arity

    def _argument(self) -> bytes:
        return self._key() if self._random.random() < 0.6 else self._cased(self._random.choice(WORDS))

    def _key(self) -> bytes:
        kind = self._random.random()
        if kind < 0.05:
            return b""
        if kind < 0.2:
            return self._random.choice(WORDS)
        if kind < 0.3:
            return self._random.randbytes(self._random.randrange(1, 9))
        return b"key:%d" % self._random.randrange(1000)

    def _cased(self, word: bytes) -> bytes:
        mixed = bytes(self._random.choice((c, c ^ 32)) if chr(c).isalpha() else c for c in word)
        return self._random.choice((word.lower(), word.upper(), word, mixed))


def _mapping(item: Sequence[Any]) -> dict[bytes, Any]:
    return dict(zip(item[::2], item[1::2], strict=True))


def replies(server: Server, commands: Iterable[Argv]) -> list[Any]:
    """What the server answers to each command, as RESP2 has it; errors are values."""
    connection: Any = server.client(protocol=2).connection_pool.get_connection()
    answers: list[Any] = []
    rest = iter(commands)
    while part := list(islice(rest, PIPELINED)):
        connection.send_packed_command(connection.pack_commands(part))
        for _ in part:
            try:
                answers.append(connection.read_response())
            except redis.ResponseError as error:
                answers.append(error)
    return answers


# --- where the judge errs ------------------------------------------------------------------------------------------

SCRIPTS = frozenset(b"eval eval_ro evalsha evalsha_ro fcall fcall_ro".split())
SPECS_ONLY = {"redis-7.0", "redis-8.2", "valkey-8.1", "valkey-9.1"}
# GETKEYS and we may differ about commands that the server then refuses to run, so that no key is touched: it reads
# numbers of keys with atoi() ("+2", "2x"), and looks for the keywords of streams and of MIGRATE wherever they stand.
MAY_BE_REFUSED = frozenset(
    b"zunion zinter zdiff zunionstore zinterstore zdiffstore zintercard sintercard lmpop zmpop blmpop bzmpop msetex "
    b"migrate xread xreadgroup object xinfo xgroup sort georadius georadiusbymember".split()
)
ABOUT_DATA = ("WRONGTYPE", "NOGROUP", "ERR no such key")


def known_error(kind: str, argv: Argv, ours: Argv, theirs: Argv) -> bool:
    """Whether GETKEYS of this server is known to be wrong about this command (`EFFECTS` proves the most of it)."""
    name, words = argv[0].lower(), [word.lower() for word in argv[2:]]
    stores = words.count(b"store") + words.count(b"storedist")
    cases = {
        # What a script is given to touch shows in MONITOR as lines of its own.
        "scripts": name in SCRIPTS and not ours,
        # Destinations come last in 6.2; the keys are the same.
        "order": kind == "redis-6.2" and sorted(ours) == sorted(theirs),
        # HELP has no keys, whatever stands behind it.
        "help": kind == "redis-6.2" and name in {b"xinfo", b"xgroup", b"object"} and argv[1].lower() == b"help",
        # KEYS with nothing behind it names nothing.
        "migrate": name == b"migrate" and words[-1] == b"keys" and not ours,
        # A password KEYS is taken for the keyword.
        "password": kind == "redis-6.2" and name == b"migrate" and bool({b"auth", b"auth2"} & set(words)),
        # Sources are optional, but the specification wants one.
        "pfmerge": name == b"pfmerge" and kind in SPECS_ONLY and len(argv) == 2 and ours == argv[1:],
        # A destination that is called like an option is taken for that option.
        "sort": name == b"sort" and kind != "redis-8.10" and stores > 1,
        # The last of several destinations wins, but there is a specification for each kind.
        "georadius": name.startswith(b"georadius") and kind in SPECS_ONLY - {"valkey-9.1"} and stores > 1,
        # A group or consumer called STREAMS is taken for the keyword if options stand before GROUP.
        "xreadgroup": name == b"xreadgroup"
        and kind in SPECS_ONLY
        and b"group" in words
        and words.count(b"streams") > 1,
    }
    return any(cases.values())


def refused(answer: Any) -> bool:
    """Whether the server refused to run a command for what it says, not for the data it would have met."""
    return isinstance(answer, redis.ResponseError) and not str(answer).startswith(ABOUT_DATA)


def disagreements(server: Server, table: CommandTable, lists: Sequence[Argv]) -> list[tuple[Argv, Argv, Argv]]:
    """Where table and GETKEYS differ about keys: the command, ours, theirs."""
    found: list[tuple[Argv, Argv, Argv]] = []
    for argv, answer in zip(lists, replies(server, ([b"COMMAND", b"GETKEYS", *argv] for argv in lists)), strict=True):
        ours, theirs = [access.key for access in table.accesses(argv)], answer if isinstance(answer, list) else []
        if ours != theirs:
            found.append((argv, ours, theirs))
    return found


def differences(server: Server, table: CommandTable, lists: Sequence[Argv]) -> list[tuple[Argv, Argv, Argv]]:
    """Where they differ, and GETKEYS is not known to be wrong, and the server runs the command."""
    found = [entry for entry in disagreements(server, table, lists) if not known_error(server.kind, *entry)]
    doubtful = [entry for entry in found if entry[0][0].lower() in MAY_BE_REFUSED]
    answers = replies(server, (argv for argv, _, _ in doubtful))
    harmless = [entry for entry, answer in zip(doubtful, answers, strict=True) if refused(answer)]
    return [entry for entry in found if entry not in harmless]


LISTS: dict[str, list[Argv]] = {}  # by kind of server: to make them takes longer than to compare them


def told(server: Server) -> tuple[list[Any], list[Argv]]:
    """The server's reply to COMMAND, and the lists to compare."""
    [reply] = replies(server, [[b"COMMAND"]])
    if server.kind not in LISTS:
        LISTS[server.kind] = list(Generator(reply).lists())
    lists = LISTS[server.kind]
    assert len(lists) > 8_000
    return reply, lists


def test_our_keys_are_the_servers_keys(any_server: Server) -> None:
    """With the server's own table we find, in every command it knows, exactly the keys that it finds."""
    reply, lists = told(any_server)
    wrong = differences(any_server, CommandTable.from_reply(reply), lists)
    assert not wrong, f"{len(wrong)} of {len(lists)}: {wrong[:SHOWN]}"


@pytest.mark.parametrize("kind", ["redis-8.10", "valkey-9.1"])
def test_the_builtin_table_serves_where_command_is_hidden(kind: str, start_server: StartServer) -> None:
    """Without the server's table we find the same keys, on the newest servers."""
    server = start_server(kind)
    _, lists = told(server)
    wrong = differences(server, CommandTable.builtin(), lists)
    assert not wrong, f"{len(wrong)} of {len(lists)}: {wrong[:SHOWN]}"


def test_our_writes_are_the_servers_writes(any_server: Server) -> None:
    """Where the server says how a key is used, what is not read-only is a write, and all else a read."""
    reply, lists = told(any_server)
    answers = replies(any_server, ([b"COMMAND", b"GETKEYSANDFLAGS", *argv] for argv in lists))
    if any_server.kind == "redis-6.2":  # cannot say; its own marks are one per command
        assert all(isinstance(answer, redis.ResponseError) for answer in answers)
        return
    compared, wrong = 0, []
    for table in (CommandTable.from_reply(reply), CommandTable.builtin()):
        for argv, answer in zip(lists, answers, strict=True):
            ours = table.accesses(argv)
            marked = answer if isinstance(answer, list) else []
            theirs = [Access(key, b"RO" not in flags) for key, flags in marked]
            if [access.key for access in ours] == [access.key for access in theirs]:  # else see the tests above
                compared += len(ours)
                wrong += [(argv, ours, theirs)] if ours != theirs else []
    assert compared > 10_000
    assert not wrong, wrong[:SHOWN]


def test_plans_read_what_positions_read(any_server: Server) -> None:
    """What the parser takes by a plan's shortcut are the keys that the whole list yields."""
    reply, lists = told(any_server)
    table = CommandTable.from_reply(reply)
    shortcuts: dict[Kind, Callable[[Argv, int], Argv]] = {
        Kind.NONE: lambda argv, _: [],
        Kind.FIRST: lambda argv, _: argv[1:2],
        Kind.REST: lambda argv, step: argv[1::step],
    }
    for argv in lists:
        plan, ours = table.plan(argv[0]), table.accesses(argv)
        if shortcut := shortcuts.get(plan.kind):
            assert ours == [Access(key, plan.write) for key in shortcut(argv, plan.step)], argv


EFFECTS = (  # what there is, a command that GETKEYS misreads on some servers, the keys that it makes
    ("RPUSH l 1", "SORT l STORE get STORE d", {b"d"}),
    ("GEOADD g 15 37 m", "GEORADIUS g 15 37 9 km STORE a STOREDIST b", {b"b"}),
    ("GEOADD g 15 37 m", "GEORADIUSBYMEMBER g m 9 km STOREDIST a STORE b", {b"b"}),
    ("PING", "PFMERGE d", {b"d"}),
    ("XGROUP CREATE s STREAMS 0 MKSTREAM", "XREADGROUP COUNT 1 GROUP STREAMS c STREAMS s >", set[bytes]()),
)


def test_where_getkeys_errs_we_say_what_happens(any_server: Server) -> None:
    """The keys that we call written are those that appear, even where GETKEYS names others."""
    reply, _ = told(any_server)
    table = CommandTable.from_reply(reply)
    for before, command, made in EFFECTS:
        argv = command.encode().split()
        steps = [before.encode().split(), [b"KEYS", b"*"], argv, [b"KEYS", b"*"], [b"FLUSHALL"]]
        _, old, answer, new, _ = replies(any_server, steps)
        assert not isinstance(answer, redis.ResponseError), command
        accesses = table.accesses(argv)
        assert set(new) - set(old) == made == {key for key, write in accesses if write}, command
        assert {key for key, write in accesses if not write} == set(old), command


def test_a_renamed_command_keeps_its_keys(start_server: StartServer) -> None:
    """A server that calls SORT by another name says so in COMMAND INFO, and its options are read as SORT's."""
    server = start_server(config={"rename-command": "SORT arrange"})
    command = b"Arrange l BY w_* STORE d".split()
    reply, info = replies(server, [[b"COMMAND"], [b"COMMAND", b"INFO", b"arrange"]])
    table = CommandTable.from_reply(reply)
    assert not table.plan(b"arrange").known
    assert table.extended([b"arrange"], info).accesses(command) == [Access(b"l", False), Access(b"d", True)]


# --- from end to end -----------------------------------------------------------------------------------------------


def test_a_captured_stream_yields_the_true_counts(redis_server: Server) -> None:
    """What is counted in MONITOR's bytes is what GETKEYSANDFLAGS says of the commands that were sent."""
    [reply] = replies(redis_server, [[b"COMMAND"]])
    table, commands = CommandTable.from_reply(reply), session()
    disputed = [argv for argv, _, _ in disagreements(redis_server, table, commands) if argv[0] != b"EVAL"]
    assert len(commands) - len(disputed) > 125
    sent = [(db, argv) for db in (0, 3) for argv in commands if argv not in disputed]
    asked = replies(redis_server, ([b"COMMAND", b"GETKEYSANDFLAGS", *argv] for _, argv in sent))
    truth: dict[tuple[int, bytes], tuple[int, int]] = {}
    for (db, _), answer in zip(sent, asked, strict=True):
        for key, flags in answer if isinstance(answer, list) else ():
            n, writes = truth.get((db, key), (0, 0))
            truth[db, key] = (n + 1, writes + (b"RO" not in flags))
    with socket.create_connection(("127.0.0.1", redis_server.port), 5) as monitor:
        monitor.sendall(b"MONITOR\r\n")
        data = monitor.recv(5)
        for db in (0, 3):
            replies(redis_server, [[b"SELECT", b"%d" % db], *(argv for at, argv in sent if at == db)])
        replies(redis_server, [[b"ECHO", b"the end"]])
        while b'"the end"\r\n' not in data:
            data += monitor.recv(65_536)
    counts = parse.count(data, table)
    assert dict(counts.accesses) == truth
    assert counts.skipped == 0
    assert len(truth) > 200
    assert counts.commands > 240


def session() -> list[Argv]:
    """Every shape that runs at once, does no harm and shows in MONITOR (PFDEBUG does not), and a script that writes."""
    spared = b"PFDEBUG SUBSCRIBE SSUBSCRIBE SUNSUBSCRIBE SWAPDB SELECT RESTORE-ASKING MIGRATE".split()
    blocking = b"BLOCK BLPOP BRPOP BZPOPMIN BZPOPMAX BLMPOP BZMPOP BLMOVE BRPOPLPUSH".split()
    shapes = [shape.encode().split() for shape in SHAPES.replace("\n", "|").split("|")]
    generator = Generator(())
    kept = (words for words in shapes if words and words[0] not in spared and not set(blocking) & set(words))
    script = [b"EVAL", b"return redis.call('set', KEYS[1], 1)", b"1", b"by a script"]
    return [script, *map(generator.filled, kept)]
