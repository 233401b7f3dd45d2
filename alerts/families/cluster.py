"""Does the cluster cover its slots, and do the Sentinels agree?"""

from __future__ import annotations

from alerts.rule import Alert, Family, Recording

FAMILY = Family(
    "cluster",
    "Cluster and Sentinel",
    recordings=(
        Recording("addr:redis_commands_processed:rate5m", "rate(redis_commands_processed_total[5m])"),
        Recording(
            "target:redis_cluster_commands_processed:mean_rate5m",
            "avg by (job, instance, target) (addr:redis_commands_processed:rate5m and on ($on) "
            'redis_node_info{role="master"} and on ($on) redis_cluster_enabled == 1)',
        ),
        # A hot key that has just moved with its slot is on two nodes for a window's length: the sum is right.
        Recording(
            "target:redis_hotkey_accesses_per_second:sum_by_key",
            "sum by (job, instance, target, db, key) (redis_hotkey_accesses_per_second and on ($on) "
            "redis_cluster_enabled == 1)",
        ),
        Recording(
            "target:redis_sampling_accesses_per_second:max_to_mean",
            "max by (job, instance, target) (redis_sampling_accesses_per_second and on ($on) redis_cluster_enabled == 1) / "
            "(avg by (job, instance, target) (redis_sampling_accesses_per_second and on ($on) redis_cluster_enabled == 1) "
            "> 0)",
        ),
    ),
    alerts=(
        Alert(
            "RedisClusterStateNotOk",
            "redis_cluster_state == 0",
            "1m",
            "critical",
            "A cluster node says that the cluster fails.",
            "{{ $labels.addr }} ({{ $labels.target }}) answers with CLUSTERDOWN.",
            "Clients of this node get errors for all keys, or for the slots that are lost.",
            "slots without a master; a majority of masters that cannot be reached",
            "`redis-cli --cluster check HOST:PORT`; bring the lost master back, or fail over to its replica",
        ),
        Alert(
            "RedisClusterSlotsFail",
            "redis_cluster_slots_fail > 0",
            "1m",
            "critical",
            "Slots of the cluster have failed.",
            "{{ $labels.addr }} ({{ $labels.target }}) counts {{ $value }} slots as failed.",
            "Their keys cannot be reached.",
            "a master without a replica is down; the failover did not win its vote",
            "`CLUSTER NODES` names the failed master; start it, or `CLUSTER FAILOVER FORCE` on its replica",
            topic="slots",
        ),
        Alert(
            "RedisClusterSlotsPfail",
            "redis_cluster_slots_pfail > 0",
            "5m",
            "warning",
            "A cluster node cannot reach others.",
            "{{ $labels.addr }} ({{ $labels.target }}) suspects {{ $value }} slots; the cluster has not agreed.",
            "Either a node is about to fail, or this one is half cut off.",
            "a partial network cut; a node that is too busy to answer the bus",
            "look from which nodes it is seen: one means that one's network; all mean the node that is suspected",
            topic="slots",
        ),
        Alert(
            "RedisClusterSlotsUncovered",
            "redis_cluster_slots_assigned < 16384 and on ($on) redis_cluster_enabled == 1",
            "5m",
            "critical",
            "Slots of the cluster belong to nobody.",
            "{{ $labels.addr }} ({{ $labels.target }}) knows owners for {{ $value }} of 16384 slots.",
            "Keys of the other slots cannot be written or read.",
            "a resharding that was broken off; a node that was forgotten with its slots",
            "`redis-cli --cluster fix HOST:PORT`, after reading what it wants to do",
        ),
        Alert(
            "RedisClusterShardHot",
            'addr:redis_commands_processed:rate5m > $shard_min_commands and on ($on) redis_node_info{role="master"} '
            "and addr:redis_commands_processed:rate5m > on (job, instance, target) group_left () "
            "$shard_skew_factor * target:redis_cluster_commands_processed:mean_rate5m",
            "30m",
            "warning",
            "One shard bears far more than the others.",
            "{{ $labels.addr }} ({{ $labels.target }}) runs {{ $value | humanize }} commands/s, far above its cluster's mean.",
            "The cluster is as slow as its hottest shard.",
            "one hot key; a hash tag that puts everything into one slot; slots that are unevenly spread",
            "the hot keys of this node say which it is; split or cache the key, or move slots",
            "hotkeys",
        ),
        Alert(
            "RedisSentinelMasterDown",
            "redis_sentinel_master_status == 0",
            "1m",
            "critical",
            "A Sentinel holds its master for down.",
            "Sentinel {{ $labels.addr }} sees {{ $labels.master_name }} ({{ $labels.master_address }}) as {{ $labels.master_status }}.",
            "A failover is under way, or should be.",
            "the master is down; the Sentinel is cut off",
            "ask the other Sentinels; see [RedisMasterMissing](RedisMasterMissing.md)",
            "fleet",
            ("job", "instance", "target", "addr", "master_name", "master_address", "master_status"),
        ),
        Alert(
            "RedisSentinelQuorumLost",
            "redis_sentinel_master_ckquorum_status == 0",
            "2m",
            "critical",
            "Sentinels cannot agree on a failover.",
            "Sentinel {{ $labels.addr }} has no quorum for {{ $labels.master_name }}.",
            "The next failure of this master will not be repaired.",
            "Sentinels are down or cut off; the quorum is larger than their number",
            "`SENTINEL CKQUORUM NAME` on each; bring the missing ones back",
            "fleet",
            ("job", "instance", "target", "addr", "master_name"),
        ),
        Alert(
            "RedisSentinelTilt",
            "redis_sentinel_tilt == 1",
            "5m",
            "warning",
            "A Sentinel does not trust its clock.",
            "Sentinel {{ $labels.addr }} is in TILT mode and starts no failover.",
            "It does not take part in decisions.",
            "the clock jumped; the virtual machine was paused; the host is overloaded",
            "check time synchronisation and steal time of the host",
            "fleet",
        ),
    ),
)
