"""A node that has everything at once that any server may say of itself; no real one does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.serverstats import (
    BufferLimit,
    Collection,
    Histogram,
    LatencySpike,
    Limits,
    SentinelDetails,
    Slowlog,
)
from exporter.stats import slots
from exporter.views.redis_families import info_fields
from tests.captured import captured_text, stats_of
from tests.views import shop

if TYPE_CHECKING:
    from exporter.serverstats import ServerStats

# A replica of a master that has a replica itself, and a Sentinel too.
MORE = b"""
role:slave
master_host:10.0.0.9
master_port:6379
master_link_status:up
master_last_io_seconds_ago:1
master_sync_in_progress:0
slave_repl_offset:14
slave_priority:100
slave_read_only:1
slave0:ip=10.0.0.7,port=6380,state=online,offset=28,lag=1
sentinel_masters:1
sentinel_tilt:0
sentinel_running_scripts:0
sentinel_scripts_queue_length:0
sentinel_simulate_failure_flags:0
master0:name=main,status=ok,address=10.0.0.9:6379,slaves=1,sentinels=3
"""
OF_ALL_SERVERS = b"""
cmdstat_slow:calls=5,usec=9,usec_per_call=1.8,rejected_calls=2,failed_calls=1,slowlog_count=3,slowlog_time_ms_sum=40.5,slowlog_time_ms_max=20.25
db7:keys=5,expires=1,avg_ttl=3000,cached_keys=4,subexpiry=2
used_active_time_io_thread_1:0.5
tls_server_cert_serial:none
engine_0:name=LUA,module=lua,abi_version=4,used_memory=72704,memory_overhead=56
availability_zone:eu-1
"""
CLUSTER = {field.field: "5" for field in (*info_fields.CLUSTER, *info_fields.BUS)} | {"cluster_state": "ok"}
NUMBERS = (
    "io-threads", "maxclients", "maxmemory", "repl-backlog-size", "databases", "commandlog-execution-slower-than",
    "commandlog-slow-execution-max-len", "commandlog-request-larger-than", "commandlog-large-request-max-len",
    "commandlog-reply-larger-than", "commandlog-large-reply-max-len",
)  # fmt: skip
LIMITS = Limits(dict.fromkeys(NUMBERS, 16.0), (BufferLimit("normal", 32e6, 16e6, 10.0),))
SETTINGS = (
    "quorum", "failover-timeout", "parallel-syncs", "down-after-milliseconds", "config-epoch", "last-ok-ping-reply",
)  # fmt: skip
MESSAGE = "OK 3 usable Sentinels. Quorum and failover authorization can be reached"
SENTINEL = SentinelDetails("main", "10.0.0.9:6379", True, MESSAGE, dict.fromkeys(SETTINGS, 250.0), 3, 1)


def answered(text: bytes) -> ServerStats:
    """The statistics of an INFO, with an answer to every question, taken at the shop's NOW."""
    return stats_of(
        text,
        taken_at=shop.NOW.monotonic,
        started_at=1_700_000_000.0,
        limits=LIMITS,
        cluster=CLUSTER,
        slowlog=Slowlog(3.0, 17.0, 0.0125),
        commandlog={"slow": 3.0, "large-request": 2.0, "large-reply": 1.0},
        spikes=(LatencySpike("command", 1_700_000_000.0, 0.3),),
        histograms={"get": Histogram(7, ((1, 4), (2, 7))), "config|get": Histogram(1, ((16, 1),))},
        slots={"15495": dict.fromkeys(slots.NUMBERS, 3.0)},
        sentinel_details=(SENTINEL,),
        collection=Collection(5, 0.02, 0.004, 0.001),
    )


def everything() -> ServerStats:
    """Whatever any server says."""
    fields = "".join(f"{one.field}:1\r\n" for one in (*info_fields.GAUGES, *info_fields.COUNTERS))
    return answered(fields.encode() + captured_text("valkey-9.1.2") + OF_ALL_SERVERS + MORE)
