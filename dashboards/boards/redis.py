"""How is one Redis server, or a few?"""

from __future__ import annotations

from dashboards.boards import redis_cluster, redis_memory, redis_safety, redis_work
from dashboards.choices import ALERTS, INSTANCE, JOB, NODES, TARGETS, failovers, restarts, warmed
from dashboards.links import Uid
from dashboards.model import Dashboard, TextBox

BOARD = Dashboard(
    Uid.REDIS,
    "redis",
    "Redis overview",
    "What servers are asked, how fast they answer, what they hold, and whether the data is safe.",
    (JOB, INSTANCE, TARGETS, NODES, TextBox("hit_objective", "Hit ratio objective", "0.9")),
    (ALERTS, restarts(), failovers(), warmed()),
    (*redis_work.ROWS, *redis_memory.ROWS, *redis_safety.ROWS, *redis_cluster.ROWS, redis_memory.SCRIPTS),
)
