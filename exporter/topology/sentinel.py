"""Who is the primary, by Sentinels: what each of them says in, the members of the deployment out.

All Sentinels are asked once a second and at once when any of them announces a switch. The majority of those that answer
decides, and ROLE on the node itself has to agree: a Sentinel may be cut off, late, or wrong.
"""

from __future__ import annotations

import select
import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import redis
from pydantic import SecretStr

from exporter.config import Target, Tls
from exporter.config.endpoint import join
from exporter.errors import DownReason, NodeError
from exporter.link import Link, OwnTraffic
from exporter.log import carried
from exporter.snapshot import Node
from exporter.topology.certificates import CertificateLook
from exporter.topology.members import PROBE_TIMEOUT, Member, Role

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future

    from exporter.snapshot import Certificates

REFRESH_SECONDS = 1.0
ANSWER_SECONDS = 0.6
"""Who has not answered by then is not waited for."""
STOP_SECONDS = 0.2
MOST_AT_ONCE = 16
SWITCH = "+switch-master"


@dataclass(frozen=True, slots=True)
class Answer:
    """What one Sentinel says: the primary's address, the epoch of that decision, the replicas' addresses."""

    primary: str
    epoch: int
    replicas: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Candidate:
    """An address that Sentinels call the primary; `majority`: most of those that answered do."""

    addr: str
    majority: bool
    replicas: tuple[str, ...]


def candidates(answers: Sequence[Answer]) -> tuple[Candidate, ...]:
    """Who may be the primary: the majority's choice first, then by votes, then by the newer epoch."""
    groups: dict[str, list[Answer]] = {}
    for answer in answers:
        groups.setdefault(answer.primary, []).append(answer)
    ordered = sorted(groups.items(), key=lambda one: (-len(one[1]), -max(a.epoch for a in one[1]), one[0]))
    return tuple(
        Candidate(
            addr,
            2 * len(group) > len(answers),
            tuple(sorted({replica for answer in group for replica in answer.replicas} - {addr})),
        )
        for addr, group in ordered
    )


def chosen(
    ordered: Sequence[Candidate], known: str | None, is_primary: Callable[[str], bool | None]
) -> tuple[Candidate, Role]:
    """Pick the primary out of `candidates`, not empty; its role is UNDECIDED while nobody can be sure.

    Args:
        ordered: the candidates, the best first.
        known: the primary so far.
        is_primary: what the node itself says, None if it does not answer.

    """
    first = ordered[0]
    if first.majority:
        # One that does not answer is still the primary until the Sentinels have decided otherwise.
        return first, Role.UNDECIDED if is_primary(first.addr) is False else Role.PRIMARY
    verified = next((one for one in ordered if is_primary(one.addr)), None)
    if verified is not None:
        return verified, Role.PRIMARY
    return next((one for one in ordered if one.addr == known), first), Role.UNDECIDED


class SentinelDiscovery:
    """Asks all Sentinels of a target. Belongs to one thread; the asking itself is done by a few more."""

    def __init__(self, target: Target) -> None:
        self._master = target.sentinel.master or ""
        self._sentinels = [_Sentinel(target, place) for place in target.sentinel.nodes]
        self.seeds = tuple(sentinel.addr for sentinel in self._sentinels)
        self._pool: ThreadPoolExecutor | None = None
        self._hurry = threading.Event()
        self._roles: dict[str, Link] = {}

    @property
    def certificates(self) -> dict[str, Certificates]:
        """The certificates of those Sentinels that are reached over TLS, by their addresses."""
        return {one.addr: one.certificates for one in self._sentinels if one.certificates is not None}

    def find(self, known: tuple[Member, ...], connect: Callable[[str], Link]) -> tuple[Member, ...]:
        """The members now, the primary first.

        Raises:
            NodeError: no Sentinel answers, or none knows this master.

        """
        answers = self._answers()
        if not answers:
            faults = [sentinel.fault for sentinel in self._sentinels if sentinel.fault is not None]
            silent = NodeError(self.seeds[0], "ask the Sentinels", DownReason.TIMEOUT, "none of them answers")
            raise faults[0] if faults else silent
        ordered = candidates(answers)
        for addr in set(self._roles) - {one.addr for one in ordered}:
            self._roles.pop(addr).close()
        before = next((member.addr for member in known if member.role is not Role.REPLICA), None)
        primary, role = chosen(ordered, before, lambda addr: self._says(addr, connect))
        replicas = (Member(addr, Role.REPLICA, group=self._master) for addr in primary.replicas)
        return (Member(primary.addr, role, group=self._master), *replicas)

    def wait(self, stop: threading.Event) -> None:
        """Return at the first announcement of a switch, or when it is time to ask again."""
        until = time.monotonic() + REFRESH_SECONDS
        while not stop.is_set() and not self._hurry.is_set() and (left := until - time.monotonic()) > 0:
            listening = {one.socket: one for one in self._sentinels if one.socket is not None}
            if not listening:
                stop.wait(min(left, STOP_SECONDS))
                continue
            ready, _, _ = select.select(list(listening), [], [], min(left, STOP_SECONDS))
            announced = [listening[sock].switched() for sock in ready]
            if any(announced):
                return
        if self._hurry.is_set():
            self._hurry.clear()
            stop.wait(STOP_SECONDS)  # many nodes may have changed at once

    def hurry(self) -> None:
        """Something has changed: ask again soon. For any thread."""
        self._hurry.set()

    def close(self) -> None:
        """Close all connections."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None
        for sentinel in self._sentinels:
            sentinel.close()
        for link in self._roles.values():
            link.close()
        self._roles.clear()

    def _answers(self) -> list[Answer]:
        """What the Sentinels say that answer in time; one that is still at an earlier question is left out."""
        if self._pool is None:
            workers = min(MOST_AT_ONCE, len(self._sentinels))
            self._pool = ThreadPoolExecutor(workers, thread_name_prefix="sentinels")
        asked = {one: one.asked(self._pool) for one in self._sentinels}
        wait(asked.values(), ANSWER_SECONDS)
        return [one.answer for one, future in asked.items() if future.done() and one.answer is not None]

    def _says(self, addr: str, connect: Callable[[str], Link]) -> bool | None:
        """Whether a node itself says that it is a primary; None if it does not answer, or may not be asked."""
        link = self._roles.get(addr)
        if link is None:
            link = self._roles[addr] = connect(addr)
        try:
            reply = link.call("ROLE")
        except (NodeError, redis.ResponseError):
            return None
        return bool(isinstance(reply, list) and reply and reply[0] == b"master")


class _Sentinel:
    """One Sentinel: a link to ask on and one to listen on. Asked by one thread at a time, heard by another."""

    def __init__(self, target: Target, place: str) -> None:
        settings = target.sentinel
        tls = place.startswith("rediss://") or settings.tls != Tls()
        self.addr = place.removeprefix("rediss://")
        self._master = settings.master or ""
        access = Target(
            name=target.name,
            url=SecretStr(f"{'rediss' if tls else 'redis'}://{self.addr}"),
            username=settings.username,
            password_file=settings.password_file,
            tls=settings.tls,
        )
        node, own = Node(target.name, self.addr), OwnTraffic()
        self._link = Link(access, node, own, timeout=PROBE_TIMEOUT)
        self._listening = Link(access, node, own, timeout=PROBE_TIMEOUT)
        self._future: Future[None] | None = None
        self.certificates: Certificates | None = None
        self._look = CertificateLook(node, access.endpoint, access.tls, own, self._certified) if tls else None
        self.answer: Answer | None = None
        self.fault: NodeError | None = None

    @property
    def socket(self) -> Any:
        """The socket on which announcements come; None while there is none."""
        return self._listening.socket if self._listening.is_open and not self._busy else None

    def asked(self, pool: ThreadPoolExecutor) -> Future[None]:
        """Begin to ask it, unless that is still going on."""
        if self._future is None or self._future.done():
            self.answer = None
            self._future = pool.submit(carried(self._ask))
        return self._future

    def switched(self) -> bool:
        """Read what has been announced; whether it concerns our master, or the Sentinel is gone."""
        try:
            self._listening.socket.settimeout(PROBE_TIMEOUT)
            data = self._listening.socket.recv(65_536)
        except OSError:
            data = b""
        if not data:
            self._listening.close()
            return False
        return self._master.encode() in data

    def close(self) -> None:
        """Close both links."""
        self._link.close()
        self._listening.close()

    @property
    def _busy(self) -> bool:
        return self._future is not None and not self._future.done()

    def _certified(self, certificates: Certificates) -> None:
        self.certificates = certificates

    def _ask(self) -> None:
        if self._look is not None:
            self._look.step()
        try:
            told = self._fields(self._link.call("SENTINEL", "MASTER", self._master))
            replicas = [self._addr(self._fields(one)) for one in self._replicas()]
            self.answer = Answer(self._addr(told), int(told.get(b"config-epoch", b"0")), tuple(replicas))
            self.fault = None
            if not self._listening.is_open:
                self._listening.open()
                self._listening.socket.sendall(self._listening.pack(("SUBSCRIBE", SWITCH)))
        except NodeError as fault:
            self._failed(fault)
        except redis.ResponseError as refusal:
            reason = DownReason.NOPERM if "NOPERM" in str(refusal) else DownReason.PROTOCOL
            words = "this user may not ask" if reason is DownReason.NOPERM else "this master is not known here"
            self._failed(NodeError(self.addr, "SENTINEL MASTER", reason, words))
        except (OSError, ValueError, KeyError, TypeError):
            self._failed(NodeError(self.addr, "SENTINEL MASTER", DownReason.PROTOCOL, "not what a Sentinel would say"))

    def _replicas(self) -> list[Any]:
        reply = self._link.call("SENTINEL", "REPLICAS", self._master)
        return reply if isinstance(reply, list) else []

    def _failed(self, fault: NodeError) -> None:
        self.answer, self.fault = None, fault
        self._link.close()

    @staticmethod
    def _fields(reply: Any) -> dict[bytes, bytes]:
        """A flat list of names and values as a mapping."""
        return dict(zip(reply[::2], reply[1::2], strict=True))

    @staticmethod
    def _addr(fields: dict[bytes, bytes]) -> str:
        return join(fields[b"ip"].decode(), int(fields[b"port"]))
