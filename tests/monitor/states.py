"""What INFO may say of a server."""

from __future__ import annotations

from exporter.snapshot import NodeStatus

GIBIBYTE = 1 << 30
STATUS = NodeStatus(
    down=None, detail="", role="master", server="redis", version="7.0.15", run_id="x", latency_seconds=0.0002,
    uptime_seconds=1.0, used_memory_bytes=1 << 20, maxmemory_bytes=0, total_memory_bytes=16 * GIBIBYTE,
    maxmemory_policy="noeviction", ops_per_second=1000.0, input_bytes_per_second=50_000.0, loading=False,
    failover=False, connected_clients=1, evicted_keys=0, hit_ratio={}, server_limit_bytes=0,
    largest_output_buffer_bytes=0, last_success=1.0, taken_at=0.0,
)  # fmt: skip
