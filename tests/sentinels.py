"""A real primary with replicas and real Sentinels for tests, on loopback.

In: how many of each. Out: a `Group` that can fail over.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Self

import redis

from tests.servers import Server, dies_with_us, free_port, program, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

MASTER = "main"


class SentinelServer:
    """One real Sentinel; `password` is what it wants of its own clients."""

    def __init__(self, primary: int, quorum: int, password: str = "") -> None:
        self.port = free_port()
        self._directory = Path(tempfile.mkdtemp(prefix="hotkey-sentinel-"))
        settings = self._directory / "sentinel.conf"
        lines = [
            f"port {self.port}", "bind 127.0.0.1", f"dir {self._directory}", f"logfile {self._directory}/log",
            f"sentinel monitor {MASTER} 127.0.0.1 {primary} {quorum}",
            f"sentinel down-after-milliseconds {MASTER} 1000", f"sentinel failover-timeout {MASTER} 6000",
        ]  # fmt: skip
        lines += [f"requirepass {password}", f"sentinel sentinel-pass {password}"] if password else []
        settings.write_text("\n".join(lines) + "\n")
        command = [*dies_with_us(), program("redis-sentinel", "redis-sentinel"), str(settings)]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        self.client = redis.Redis(port=self.port, socket_timeout=2, password=password or None)

    @property
    def addr(self) -> str:
        """Its `host:port`."""
        return f"127.0.0.1:{self.port}"

    def peers(self) -> tuple[int, int]:
        """How many other Sentinels and replicas it knows."""
        try:
            told = self.client.sentinel_master(MASTER)
        except redis.RedisError:
            return 0, 0
        return int(told["num-other-sentinels"]), int(told["num-slaves"])

    def primary(self) -> int:
        """The port of the primary, as it says."""
        return int(self.client.sentinel_get_master_addr_by_name(MASTER)[1])

    def stop(self) -> None:
        """End it and remove its directory."""
        self.client.close()
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self._directory, ignore_errors=True)


class Group:
    """A primary, one replica and three Sentinels that know each other."""

    def __init__(self, start_server: Callable[..., Server], password: str = "") -> None:
        self.servers = [start_server()]
        self.servers.append(start_server(config={"replicaof": f"127.0.0.1 {self.servers[0].port}"}))
        self.sentinels = [SentinelServer(self.servers[0].port, 2, password) for _ in range(3)]

    def __enter__(self) -> Self:
        wait_for(lambda: all(one.peers() == (2, 1) for one in self.sentinels), 15, "the Sentinels to know each other")
        replica = self.servers[1].client()
        wait_for(lambda: replica.info("replication")["master_link_status"] == "up", 10, "the replica to be in sync")
        return self

    def __exit__(self, *_: object) -> None:
        for sentinel in self.sentinels:
            sentinel.stop()

    def switched(self, old: Server) -> bool:
        """Whether most of the living Sentinels name another primary than `old`."""
        alive = [one for one in self.sentinels if one.process.poll() is None]
        return 2 * sum(one.primary() != old.port for one in alive) > len(alive)
