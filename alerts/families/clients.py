"""Do clients get in, and do they stay?"""

from __future__ import annotations

from alerts.rule import Alert, Family, Recording

FAMILY = Family(
    "clients",
    "Clients",
    recordings=(
        Recording("addr:redis_connected_clients:ratio", "redis_connected_clients / (redis_config_maxclients > 0)"),
    ),
    alerts=(
        Alert(
            "RedisConnectionsHigh",
            "addr:redis_connected_clients:ratio > $connections_ratio",
            "5m",
            "warning",
            "Many of the allowed connections are in use.",
            "{{ $labels.addr }} ({{ $labels.target }}) has {{ $value | humanizePercentage }} of maxclients connected.",
            "At the limit new clients are refused.",
            "a leak of connections; too large pools times too many processes; idle clients without timeout",
            "`CLIENT LIST` by address and name; lower the pools; set `timeout`; raise `maxclients` and the limit of files",
            topic="connections",
        ),
        Alert(
            "RedisConnectionsFull",
            "addr:redis_connected_clients:ratio > $connections_full_ratio",
            "2m",
            "critical",
            "Hardly any connection is left.",
            "{{ $labels.addr }} ({{ $labels.target }}) has {{ $value | humanizePercentage }} of maxclients connected.",
            "New clients will be refused within moments, and so will you.",
            "as of [RedisConnectionsHigh](RedisConnectionsHigh.md)",
            "`CONFIG SET maxclients` higher from a connection that is open; `CLIENT KILL` idle clients",
            topic="connections",
        ),
        Alert(
            "RedisConnectionsRejected",
            "increase(redis_rejected_connections_total[5m]) > 0",
            "1m",
            "critical",
            "Clients are refused.",
            "{{ $labels.addr }} ({{ $labels.target }}) refused {{ $value | humanize }} connections in 5 minutes.",
            "Some users get errors now.",
            "maxclients is reached",
            "see [RedisConnectionsFull](RedisConnectionsFull.md)",
            topic="connections",
        ),
        Alert(
            "RedisClientsGone",
            "redis_connected_clients < $clients_left_ratio * avg_over_time(redis_connected_clients[10m] offset 1h) "
            "and avg_over_time(redis_connected_clients[10m] offset 1h) > $clients_min",
            "5m",
            "warning",
            "Most clients have gone.",
            "{{ $labels.addr }} ({{ $labels.target }}) has {{ $value }} clients, far fewer than an hour ago.",
            "Usually the first sign that the application, or the way to Redis, is broken.",
            "an outage of the application; a network policy; a deployment that points elsewhere",
            "look at the application; compare the time with deployments",
        ),
        Alert(
            "RedisOutputBufferDisconnections",
            "increase(redis_client_output_buffer_limit_disconnections_total[5m]) > 0",
            "1m",
            "warning",
            "Clients are cut because they read too slowly.",
            "{{ $labels.addr }} ({{ $labels.target }}) cut {{ $value | humanize }} clients at the output buffer limit in 5 minutes.",
            "A subscriber loses messages, a replica starts from the beginning.",
            "a slow subscriber; a huge reply; a replica that cannot keep up",
            "the server's log names the client; fix the reader, or raise its class's `client-output-buffer-limit`",
        ),
        Alert(
            "RedisConnectionChurn",
            "rate(redis_connections_received_total[5m]) > $new_connections_per_second",
            "15m",
            "warning",
            "Clients connect anew all the time.",
            "{{ $labels.addr }} ({{ $labels.target }}) takes {{ $value | humanize }} new connections a second.",
            "Connecting (with TLS above all) costs the main thread more than most commands.",
            "a client without a pool; a health check that is too frequent; functions as a service",
            "`CLIENT LIST` by age shows who; use a pool",
        ),
    ),
)
