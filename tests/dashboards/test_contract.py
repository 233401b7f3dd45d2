"""Names agree: what dashboards, rules and docs name exists in the exporter, and what it exports is used or excused."""

from __future__ import annotations

import re
from collections import Counter

import promql_parser as promql
import yaml

from dashboards.unused import UNUSED
from tests.dashboards.contract import families, family, of_scrape, rules, series
from tests.dashboards.documents import DOCUMENTS, asked, panels
from tests.dashboards.promql import metrics, used_labels, walk
from tests.servers import ROOT

QUESTIONS = [(f"{one.dashboard}, {one.place}", promql.parse(one.filled())) for one in asked()]
RULES = [(name, promql.parse(expr)) for name, expr, _ in rules()]
KNOWN = series()
# Names in docs that look like families and are none.
PROGRAMS = {"redis_exporter", "redis_hotkey_exporter", "hotkey_exporter"}
# What the well-known dashboards of Redis show, all together.
SIGNALS = (
    "redis_uptime_in_seconds", "redis_up", "redis_commands_total", "redis_commands_duration_seconds_total",
    "redis_commands_latencies_usec_bucket", "redis_latency_percentiles_usec", "redis_keyspace_hits_total",
    "redis_keyspace_misses_total", "redis_memory_used_bytes", "redis_memory_max_bytes",
    "redis_memory_used_rss_bytes", "redis_mem_fragmentation_ratio", "redis_memory_used_dataset_bytes",
    "redis_evicted_keys_total", "redis_expired_keys_total", "redis_db_keys", "redis_db_keys_expiring",
    "redis_db_avg_ttl_seconds", "maxmemory_policy", "redis_connected_clients", "redis_blocked_clients",
    "redis_config_maxclients", "redis_rejected_connections_total", "redis_evicted_clients_total",
    "redis_client_recent_max_output_buffer_bytes", "redis_net_input_bytes_total", "redis_net_output_bytes_total",
    "redis_cpu_user_main_thread_seconds_total", "redis_io_threaded_reads_processed", "redis_errors_total",
    "redis_commands_failed_calls_total", "redis_commands_rejected_calls_total", "redis_slowlog_last_id",
    "redis_slowlog_length", "redis_latest_fork_seconds", "redis_rdb_last_cow_size_bytes",
    "redis_rdb_last_bgsave_status", "redis_rdb_changes_since_last_save", "redis_aof_current_size_bytes",
    "redis_aof_delayed_fsync", "redis_node_info", "redis_connected_slave_offset_bytes",
    "redis_connected_slave_lag_seconds", "redis_master_link_up", "redis_replica_resyncs_full",
    "redis_replication_backlog_bytes", "redis_cluster_state", "redis_cluster_slots_ok",
    "redis_cluster_messages_sent_total", "redis_sentinel_masters", "redis_sentinel_master_ckquorum_status",
    "redis_pubsub_channels", "redis_number_of_functions",
)  # fmt: skip


def test_every_metric_and_label_exists() -> None:
    """No expression of a dashboard or a rule names a metric that is not exported, or a label that it does not have."""
    wrong = []
    for place, tree in QUESTIONS + RULES:
        for name, labels in used_labels(tree):
            if name not in KNOWN or not labels <= KNOWN[name]:
                wrong.append((place, name, labels - KNOWN.get(name, set())))
    assert wrong == []


def test_every_label_that_results_are_by_exists() -> None:
    """What an expression aggregates by, or joins on, are labels of what is in it."""
    wrong = []
    for place, tree in QUESTIONS + RULES:
        for one in walk(tree):
            named: set[str] = set()
            if isinstance(one, promql.AggregateExpr) and one.modifier:
                named = set(one.modifier.labels)
            elif isinstance(one, promql.BinaryExpr) and one.modifier and one.modifier.matching:
                named = set(one.modifier.matching.labels) | set(one.modifier.group_labels or ())
            there = set().union(*(KNOWN[name] for name in metrics(one)))
            wrong += [(place, named - there)] if not named <= there else []
    assert wrong == []


def test_every_family_is_used_or_excused() -> None:
    """A family is on a panel or in a rule, or `dashboards/unused.py` says why not; and nothing is excused in vain."""
    used = {family(name) for _, tree in QUESTIONS + RULES for name in metrics(tree)}
    excused = Counter(name for _, names in UNUSED for name in names)
    assert set(families()) - used - set(excused) == set(), "on a panel, in a rule, or in dashboards/unused.py"
    assert {name for name, times in excused.items() if times > 1 or name in used or name not in families()} == set()


def test_docs_name_what_exists() -> None:
    """Every family that a page of docs, the README or a runbook names is one of the exporter, or a recording rule."""
    known = set(KNOWN).union(PROGRAMS, families(), of_scrape(), *KNOWN.values())  # labels, too: `redis_version`
    known |= set(yaml.safe_load((ROOT / "alerts" / "values.yaml").read_text(encoding="utf-8"))["thresholds"])
    records = {name for name, _, records in rules() if records}
    wrong = []
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))):
        text = path.read_text(encoding="utf-8")
        for record in sorted(records, key=len, reverse=True):
            text = text.replace(record, "")
        for name in set(re.findall(r"(?<![\w./:-])((?:redis|hotkey_exporter)_[a-z0-9_]+)(?![\w*{]*\*)", text)):
            whole = {name, name.removesuffix("_"), f"{name}_total"}
            if not whole & known and not any(one.startswith(name) for one in known if name.endswith("_")):
                wrong.append((path.name, name))
    assert wrong == []


def test_redis_overview_has_every_signal() -> None:
    """What any of the well-known dashboards shows, ours does: each of these stands in a query of the Redis overview."""
    text = " ".join(t["expr"] for panel in panels(DOCUMENTS["redis"]) for t in panel["targets"])
    missing = [name for name in SIGNALS if not re.search(rf"\b{name}\b", text)]
    assert missing == []
