"""What would be collected, and what it would cost at worst: a configuration in, a report for people or programs out.

Nothing is changed on the server. MONITOR is tried for a few milliseconds; commands that would count as hits or misses
are only queued in a transaction that is then discarded, which is enough for the server to say whether it allows them.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import redis

from exporter.errors import DownReason, MonitorRefused, NodeError
from exporter.monitor.governor import LONGEST_GRACE_SECONDS, Governor, Plan
from exporter.monitor.session import HARD_LIMIT_BYTES, Limits, Outcome, Session
from exporter.monitor.watchdog import Watchdog
from exporter.sampling.native import CONFIGURED, STANDS_IN_FOR, offers
from exporter.snapshot import Source
from exporter.stats.prober import Prober
from exporter.stats.questions import QUESTIONS, of_slots
from exporter.stats.slots import BusiestSlots
from exporter.tls.connection import look
from exporter.topology import follow_cluster, topology_of
from exporter.views.words import NEXT

if TYPE_CHECKING:
    from exporter.config import Config, Target
    from exporter.link import Link
    from exporter.snapshot import Node, NodeStatus
    from exporter.tls.certificates import Certificate
    from exporter.topology import Topology

MEBIBYTE = 1 << 20
LOOK_TIMEOUT = 1.0
REPLY_BLOCK_BYTES = 1 << 16
"""A server looks at its limit after it has added a line to a block of its reply list: it passes it by that much."""
LIMIT_LINE = 'CONFIG SET client-output-buffer-limit "normal 32mb 16mb 10"'
_MISCONFIGURED = {DownReason.AUTH, DownReason.DNS, DownReason.TLS, DownReason.SECRET, DownReason.NOPERM}
_FEATURES = {
    "COMMAND": ("COMMAND", "COUNT"),
    "CLIENT INFO": ("CLIENT", "INFO"),
    "CLIENT LIST": ("CLIENT", "LIST", "TYPE", "master"),
    "MEMORY USAGE": ("MEMORY", "USAGE", "hotkey-exporter:check"),
    "SCAN": ("SCAN", "0", "COUNT", "1"),
    "TIME": ("TIME",),
}
_QUEUED = {
    "TYPE": ("TYPE", "hotkey-exporter:check"),
    "OBJECT ENCODING": ("OBJECT", "ENCODING", "hotkey-exporter:check"),
    "PTTL": ("PTTL", "hotkey-exporter:check"),
    "OBJECT FREQ": ("OBJECT", "FREQ", "hotkey-exporter:check"),
}
_TRIALS: dict[Source, list[tuple[str, ...]]] = {
    Source.HOTKEYS: [("HOTKEYS", "GET")],
    Source.LFU: [("MULTI",), _QUEUED["OBJECT FREQ"], ("DISCARD",)],
}
_MEANING = {
    "MONITOR": "hot keys",
    "RESET": "keeping the connection between bursts",
    "COMMAND": "key positions as this server defines them (else the built-in table)",
    "CLIENT INFO": "telling our own commands from the application's behind NAT",
    "CLIENT LIST": "standing by where another exporter samples the server already",
    "MEMORY USAGE": "size of hot keys, key groups and the largest keys",
    "SCAN": "key groups and the largest keys",
    "TIME": "measuring what a step through the keys costs the server",
    "TYPE": "type of hot keys",
    "OBJECT ENCODING": "encoding of hot keys",
    "PTTL": "remaining life of hot keys, and of key groups",
    "OBJECT FREQ": "hot keys by rank, under an lfu policy and where MONITOR is refused",
} | {question.name: question.meaning for question in (*QUESTIONS, of_slots(BusiestSlots()))}


@dataclass(frozen=True, slots=True)
class NodeReport:
    """What one node allows. `allowed` maps a command to whether this user may run it."""

    target: str
    addr: str
    up: bool
    reason: str
    detail: str
    server: str
    version: str
    role: str
    source: str
    source_reason: str
    allowed: dict[str, bool]
    commands_per_second: float
    sampling: str
    duty_ratio: float
    events_per_second_at_most: float
    bytes_per_second_at_most: int
    held_bytes_at_worst: int
    server_limit_bytes: int
    advice: tuple[str, ...]
    tls: TlsReport | None = None


@dataclass(frozen=True, slots=True)
class TlsReport:
    """What was negotiated, and what the server presents, its own certificate first; `reason` says why it is refused.

    `verified` is whether the certificates count; where they are refused they are shown all the same.
    """

    version: str
    cipher: str
    verified: bool
    reason: str
    chain: tuple[Certificate, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """All nodes of all targets."""

    nodes: tuple[NodeReport, ...]

    @property
    def reachable(self) -> bool:
        """Whether every node answers."""
        return all(node.up for node in self.nodes)

    @property
    def misconfigured(self) -> bool:
        """Whether a node does not answer because of something in the configuration."""
        return any(node.reason in _MISCONFIGURED for node in self.nodes)

    @property
    def complete(self) -> bool:
        """Whether everything that is configured can be collected."""
        return all(node.source != "none" or node.source_reason == "off" for node in self.nodes)


def check(config: Config) -> Report:
    """Ask every node of every target."""
    reports: list[NodeReport] = []
    watchdog = Watchdog()
    try:
        for target in config.targets:
            topology = topology_of(target)
            try:
                _find(topology, target)
            except NodeError as fault:
                reports.append(_unknown(topology.nodes()[0], fault))
            else:
                reports += [_node(config, target, topology, node, watchdog) for node in topology.nodes()]
            finally:
                topology.close()
    finally:
        watchdog.close()
    return Report(tuple(reports))


def _find(topology: Topology, target: Target) -> None:
    """Find out which nodes there are, also where the one server of the URL turns out to be a node of a cluster."""
    if topology.discovery is None and target.topology == "auto":
        link = topology.link(topology.nodes()[0])
        try:
            info = link.call("INFO", "cluster")
        except (NodeError, redis.ResponseError):
            return  # the report on the node says why
        finally:
            link.close()
        if b"cluster_enabled:1" not in info:
            return
        follow_cluster(topology, target)
        with contextlib.suppress(NodeError):  # one that may not ask for the others watches this one
            topology.refresh()
        return
    topology.refresh()


def _unknown(node: Node, fault: NodeError) -> NodeReport:
    """What is to be said of a target whose nodes nobody knows; `node` stands for it."""
    return NodeReport(
        target=node.target, addr=node.addr, up=False, reason=fault.reason.value, detail=str(fault), server="",
        version="", role="unknown", source="none", source_reason=fault.reason.value, allowed={},
        commands_per_second=0.0, sampling="none", duty_ratio=0.0, events_per_second_at_most=0.0,
        bytes_per_second_at_most=0, held_bytes_at_worst=0, server_limit_bytes=0, advice=(),
    )  # fmt: skip


def to_json(report: Report) -> str:
    """One JSON object: `{"ok", "nodes": [...]}`."""
    return json.dumps({"ok": report.reachable and report.complete, "nodes": [asdict(node) for node in report.nodes]})


def to_text(report: Report) -> str:
    """What a person reads: one paragraph for each node."""
    return "\n\n".join("\n".join(_lines(node)) for node in report.nodes)


def _node(config: Config, target: Target, topology: Topology, node: Node, watchdog: Watchdog) -> NodeReport:
    link = topology.link(node)
    prober = Prober(link, topology.own(node))
    try:
        status = prober.probe()
        tls = _tls(target, link, status)
    finally:
        prober.close()
    up = status.down is None
    allowed = _allowed(topology, node) | prober.allowed if up else {}
    source, why = _source(target, topology, node, allowed, watchdog) if up else ("none", status.down or "")
    if up and (native := _native(target, topology, node, status, why)):
        source, why = native, why or CONFIGURED
    events = min(float(target.sampling.events_per_second), float(config.sampling.total_events_per_second))
    governor = Governor(target.sampling, primaries_only=target.nodes == "primaries" or topology.discovery is not None)
    governor.allow(events)
    plan = governor.plan(status) if up else None
    advice = []
    if up and not status.server_limit_bytes and source == "monitor":
        advice.append(LIMIT_LINE)
    return NodeReport(
        target=node.target,
        addr=node.addr,
        up=up,
        reason=status.down or "",
        detail=status.detail,
        server=status.server if up else "",
        version=status.version,
        role=status.role if up else "",
        source=source,
        source_reason=why,
        allowed=allowed,
        commands_per_second=status.ops_per_second,
        sampling=_mode(plan) if source == "monitor" else "none",
        duty_ratio=_duty(plan) if source == "monitor" else 0.0,
        events_per_second_at_most=events,
        bytes_per_second_at_most=target.sampling.bytes_per_second,
        held_bytes_at_worst=_held(plan, status) if source == "monitor" else 0,
        server_limit_bytes=status.server_limit_bytes,
        advice=tuple(advice),
        tls=tls,
    )


def _tls(target: Target, link: Link, status: NodeStatus) -> TlsReport | None:
    """What was negotiated; if certificates were refused, what the server presents to somebody who takes any."""
    if not link.endpoint.tls:
        return None
    found = link.negotiated
    if found is None and status.tls_reason:
        anybody = {"insecure_skip_verify": True, "ca_file": None, "cert_file": None, "key_file": None}
        with contextlib.suppress(OSError):
            found = look(target.tls.model_copy(update=anybody), link.endpoint, LOOK_TIMEOUT, patient=False)
    verified = not target.tls.insecure_skip_verify and not status.tls_reason
    if found is None:
        return TlsReport("", "", verified, status.tls_reason, ())
    return TlsReport(found.version, found.cipher, verified, status.tls_reason, found.chain)


def _allowed(topology: Topology, node: Node) -> dict[str, bool]:
    link = topology.link(node)
    try:
        replies = dict(zip(_FEATURES, link.pipeline(list(_FEATURES.values())), strict=True))
        queued = link.pipeline([("MULTI",), *_QUEUED.values(), ("DISCARD",)])
    except NodeError:
        return {}
    finally:
        link.close()
    replies |= dict(zip(_QUEUED, queued[1:-1], strict=True))
    return {name: not isinstance(reply, redis.ResponseError) for name, reply in replies.items()}


def _source(
    target: Target, topology: Topology, node: Node, allowed: dict[str, bool], watchdog: Watchdog
) -> tuple[str, str]:
    """Try MONITOR for a moment, and whether it can be left again; where that is cut short, try again."""
    if target.sampling.source not in {"auto", "monitor"}:
        return "none", "off" if target.sampling.source == "off" else ""
    guard = watchdog.guard()
    try:
        for last in (False, False, True):
            session = Session(topology.link(node), topology.own(node).token, guard)
            try:
                return _tried(session, allowed)
            except NodeError as fault:
                if last or session.ended_by is not Outcome.KILLED:
                    return "none", fault.reason.value
            finally:
                session.close()
        raise AssertionError("the last try returns")
    finally:
        guard.close()


def _tried(session: Session, allowed: dict[str, bool]) -> tuple[str, str]:
    try:
        session.begin(0.0, Limits(1 << 20, HARD_LIMIT_BYTES, LONGEST_GRACE_SECONDS))
        allowed["MONITOR"] = True
        session.leave()
    except MonitorRefused as refusal:
        allowed["MONITOR"] = False
        return "none", refusal.why
    allowed["RESET"] = session.can_reset
    return "monitor", ""


def _native(target: Target, topology: Topology, node: Node, status: NodeStatus, why: str) -> str | None:
    """The source that takes MONITOR's place: what the configuration names, or the best that the server offers."""
    wanted = target.sampling.source
    sources = [source for source in (Source.HOTKEYS, Source.LFU) if wanted == source.value]
    if wanted == "auto" and why in STANDS_IN_FOR:
        sources = [Source.HOTKEYS, Source.LFU]
    link = topology.link(node)
    try:
        for source in sources:
            if offers(source, status):
                replies = link.pipeline(_TRIALS[source])
                if not any(isinstance(reply, redis.ResponseError) for reply in replies):
                    return source.value
    except NodeError:
        return None
    finally:
        link.close()
    return None


def _mode(plan: object) -> str:
    if not isinstance(plan, Plan):
        return f"waits: {getattr(plan, 'reason', 'unknown')}"
    return "joined" if plan.joined else "bursts"


def _duty(plan: object) -> float:
    return plan.seconds / plan.cycle if isinstance(plan, Plan) else 0.0


def _held(plan: object, status: NodeStatus) -> int:
    """What the server would hold for us if this host vanished now: its limit and a block, or 15 min of the stream."""
    if status.server_limit_bytes:
        return status.server_limit_bytes + REPLY_BLOCK_BYTES
    return Governor.lost_bytes(status) if isinstance(plan, Plan) else 0


def _lines(node: NodeReport) -> list[str]:
    if not node.up:
        hint = [f"  next  {NEXT[node.reason]}"] if node.reason in NEXT else []
        return [f"{node.target}  {node.addr}", f"  DOWN  {node.reason}: {node.detail}", *_tls_lines(node), *hint]
    lines = [f"{node.target}  {node.addr}  {node.server} {node.version}, {node.role}"]
    if node.source == "none":
        lines.append(f"  hot keys   none: {node.source_reason or 'unsupported'}")
    elif node.source != "monitor":
        lines.append(f"  hot keys   {node.source} (no rates of accesses), not MONITOR: {node.source_reason}")
    else:
        share = "everything is observed" if node.sampling == "joined" else f"{node.duty_ratio:.1%} of the time"
        lines += [
            f"  hot keys   MONITOR, now {node.commands_per_second:.0f} commands/s: {share}",
            f"  budget     at most {node.events_per_second_at_most:g} commands/s and "
            f"{node.bytes_per_second_at_most / MEBIBYTE:g} MiB/s are read",
            f"  worst case if this host vanishes: the server holds up to {node.held_bytes_at_worst / MEBIBYTE:.1f} MiB",
        ]
    lines += _tls_lines(node)
    lines += [
        f"  {'allowed' if allowed else 'REFUSED'}    {name}: {_MEANING[name]}" for name, allowed in node.allowed.items()
    ]
    return lines + [f"  safer with {line}" for line in node.advice]


def _tls_lines(node: NodeReport) -> list[str]:
    tls = node.tls
    if tls is None:
        return []
    state = tls.reason or ("verified" if tls.verified else "NOT VERIFIED (insecure_skip_verify)")
    lines = [f"  TLS        {' '.join(filter(None, (tls.version, tls.cipher)))}  {state}"]
    for one in tls.chain:
        since, until = (datetime.fromtimestamp(at, UTC).isoformat(" ", "minutes")[:16] for at in one.validity)
        lines.append(f"    certificate  {one.subject}, by {one.issuer}, valid from {since} to {until} UTC")
    return lines
