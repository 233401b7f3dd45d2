"""The `target` of `/scrape`: what the client wrote comes in, one node goes out, or a refusal that names no secret."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from exporter.config.endpoint import parse
from exporter.errors import NoRoom
from exporter.guests import is_guest
from exporter.snapshot import NodeStatus

if TYPE_CHECKING:
    from exporter.snapshot import Board, Node
    from exporter.web.daemon import Daemon

POLL_SECONDS = 0.01


async def node_of(text: str, board: Board, daemon: Daemon) -> Node:
    """Find the node that is meant by the name of a target, by `host:port` or by a URL; a new one may be let in."""
    configured = [node for node in board.nodes if not is_guest(node)]
    named = [node for node in configured if node.target == text]
    if len(named) > 1:
        nodes = ", ".join(node.addr for node in named[:20])
        raise HTTPException(400, f"target: this target has several nodes, ask for one of them: {nodes}")
    if named:
        return named[0]
    try:
        addr = parse(text).addr.lower()
    except ValueError as error:
        # The text is not repeated: it may be a URL with a password in it.
        raise HTTPException(400, f"target: neither the name of a target nor an address: {error}") from None
    known = [node for node in configured if node.addr.lower() == addr]
    if len(known) > 1:
        targets = ", ".join(node.target for node in known[:20])
        raise HTTPException(400, f"target: several targets lead to this address, ask for one of them: {targets}")
    return known[0] if known else await _admit(text, daemon)


async def _admit(url: str, daemon: Daemon) -> Node:
    try:
        node = await run_in_threadpool(daemon.admit, url)
    except NoRoom as full:
        raise HTTPException(503, f"target: {full}") from None
    if node is None:
        raise HTTPException(403, "target: not a known node, and no pattern of web.scrape_allow matches it")
    return node


async def first_status(node: Node, board: Board, seconds: float) -> None:
    """Wait until a node that has just been let in was asked how it is, but no longer than this."""
    until = time.monotonic() + seconds
    while board.latest(node, NodeStatus) is None and time.monotonic() < until:
        await asyncio.sleep(POLL_SECONDS)
