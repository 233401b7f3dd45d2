"""Is it up, and is it what it was?"""

from __future__ import annotations

from alerts.rule import Alert, Family

REASON = (
    "{{ with printf \"redis_down_info{target='%s',addr='%s'}\" $labels.target $labels.addr | query }}"
    '{{ . | first | label "reason" }}{{ else }}unknown{{ end }}'
)

FAMILY = Family(
    "state",
    "State of a server",
    alerts=(
        Alert(
            "RedisDown",
            'redis_up == 0 unless on ($on) redis_down_info{reason="starting"}',
            "1m",
            "critical",
            "A Redis server cannot be used.",
            "{{ $labels.addr }} ({{ $labels.target }}) is down for the exporter: " + REASON + ".",
            "Clients that need this node fail, or all fall through to what lies behind it.",
            "`refused`: the process ended; `timeout`: hung, overloaded, or the network is cut; `loading`: it reads its "
            "data set after a restart; `auth`, `noperm`, `secret`: only our access is broken, see "
            "[RedisAccessDenied](RedisAccessDenied.md); `maxclients`: no connection is free",
            "the reason is on the exporter's page and in `redis_down_info`; run `redis-cli -h HOST -p PORT ping` from the "
            "exporter's host; read the end of the server's log; start it, or fail over",
            "fleet",
            extra={"master_addr": "{{ $labels.addr }}"},
        ),
        Alert(
            "RedisAccessDenied",
            'redis_down_info{reason=~"auth|noperm|secret"} == 1',
            "5m",
            "warning",
            "The exporter may not log in.",
            "{{ $labels.addr }} ({{ $labels.target }}) refuses the exporter: {{ $labels.reason }}. Redis itself may be well.",
            "The server may work for everybody else, but nobody watches it.",
            "a rotated password; an ACL rule that was changed; a secret file that is missing or empty",
            "run `hotkey-exporter check`; compare the ACL with docs/operating.md; send SIGHUP after a new secret",
            "fleet",
            ("job", "instance", "target", "addr", "reason"),
        ),
        Alert(
            "RedisRestarted",
            "resets(redis_uptime_in_seconds[15m]) > 0",
            "",
            "info",
            "A Redis server was restarted.",
            "{{ $labels.addr }} ({{ $labels.target }}) was started within the last 15 minutes.",
            "Without persistence it came back empty: expect misses until it is warm.",
            "an upgrade; a crash; the out-of-memory killer",
            "read the server's log before the start; `dmesg` shows the out-of-memory killer; run the warming jobs",
            topic="restart",
        ),
        Alert(
            "RedisRestartLoop",
            "resets(redis_uptime_in_seconds[30m]) > $redis_starts",
            "1m",
            "critical",
            "A Redis server keeps restarting.",
            "{{ $labels.addr }} ({{ $labels.target }}) started {{ $value }} times in 30 minutes.",
            "Each start loses what was not persisted and cuts every client.",
            "the out-of-memory killer; a liveness probe shorter than loading takes; a corrupt file that it fails on",
            "read the server's log; raise the memory limit above maxmemory plus copy-on-write; relax the probe",
            topic="restart",
        ),
        Alert(
            "RedisLoadingLong",
            "redis_loading_dump_file == 1",
            "15m",
            "warning",
            "A Redis server has been loading its data set for long.",
            "{{ $labels.addr }} ({{ $labels.target }}) still loads its data set and answers with LOADING.",
            "Until it is done, clients get errors.",
            "a large data set on a slow disk; a replica that loads over and over",
            "`INFO persistence` has `loading_eta_seconds`; check the disk; do not restart it: it would begin again",
        ),
        Alert(
            "RedisRoleChanged",
            "count by ($on) (count by ($on, role) (last_over_time(redis_node_info[15m]))) > 1",
            "",
            "info",
            "A Redis server changed its role.",
            "{{ $labels.addr }} ({{ $labels.target }}) has had more than one role within 15 minutes: a failover.",
            "Writes of the moment of a failover may be lost; caches of the new master may be cold.",
            "a failover by Sentinel or cluster; an operator; a master that was too slow to answer",
            "look for the old master's reason: was it down, slow or cut off; check that it came back as a replica",
            "fleet",
        ),
        Alert(
            "RedisVersionMixed",
            "count by (job, instance, target) (count by (job, instance, target, redis_version) (redis_instance_info)) > 1",
            "1d",
            "info",
            "Nodes of one target run different versions.",
            "{{ $labels.target }} has {{ $value }} versions of Redis.",
            "A failover changes behaviour; a newer master cannot always feed an older replica.",
            "an upgrade that was not finished",
            "finish it: replicas first, then fail over, then the old master",
            "fleet",
            ("job", "instance", "target"),
        ),
    ),
)
