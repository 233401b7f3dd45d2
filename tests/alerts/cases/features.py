"""Cases: hot keys, cache warming and certificates."""

from __future__ import annotations

from tests.alerts.cases.case import JOB, KEY, WARM, Case, cpu, hot

FEATURES = (
    # Hot keys.
    Case("RedisHotKey", hot(17, 0.1), (hot(17, 0.1, 1), hot(17, 0.11)), severity="info"),
    Case("RedisHotKey", hot(17, 0.11), (hot(17, 0.11, 1), hot(17, 0.1)), severity="warning"),
    Case(
        "RedisHotKeySaturates",
        {**hot(17, 0.11), **cpu(96)},
        ({**hot(17, 0.11), **cpu(94)}, {**hot(17, 0.1), **cpu(96)}, {**hot(17, 0.11, 1), **cpu(96)}),
        5,
    ),
    Case(
        "RedisHotKeyLarge",
        {f"redis_hotkey_accesses_per_second_low{KEY}": 50, f"redis_hotkey_memory_bytes{KEY}": 1048577},
        ({f"redis_hotkey_accesses_per_second_low{KEY}": 50, f"redis_hotkey_memory_bytes{KEY}": 1048576},),
    ),
    Case(
        "HotKeySamplingStopped",
        {"redis_sampling_up": 0, "redis_up": 1, 'redis_sampling_source_info{reason="denied"}': 1},
        (
            {"redis_sampling_up": 1, "redis_up": 1, 'redis_sampling_source_info{reason="full"}': 1},
            {"redis_sampling_up": 0, "redis_up": 0, 'redis_sampling_source_info{reason="refused"}': 1},
            {"redis_sampling_up": 0, "redis_up": 1, 'redis_sampling_source_info{reason="off"}': 1},
        ),
    ),
    Case(
        "RedisSamplingLossy",
        {
            'redis_sampling_bursts_total{outcome="lag"}': (0, 11),
            'redis_sampling_bursts_total{outcome="complete"}': (0, 89),
        },
        (
            {
                'redis_sampling_bursts_total{outcome="lag"}': (0, 9),
                'redis_sampling_bursts_total{outcome="complete"}': (0, 91),
            },
            {'redis_sampling_bursts_total{outcome="events"}': (0, 9)},
        ),
        1,
    ),
    Case(
        "RedisSamplingCostly",
        {"redis_sampling_watched_throughput_ratio": 0.79, "redis_commands_processed_total": (0, 66_000)},
        (
            {"redis_sampling_watched_throughput_ratio": 0.8, "redis_commands_processed_total": (0, 66_000)},
            {"redis_sampling_watched_throughput_ratio": 0.1, "redis_commands_processed_total": (0, 54_000)},
        ),
        5,
    ),
    Case(
        "RedisSamplingUnlimited",
        {"redis_sampling_server_limit_bytes": 0, "redis_sampling_up": 1},
        (
            {"redis_sampling_server_limit_bytes": 1, "redis_sampling_up": 1},
            {"redis_sampling_server_limit_bytes": 0, "redis_sampling_up": 0},
        ),
    ),
    Case(
        "RedisHotKeyLabelsSuppressed",
        {"redis_hotkey_labels_suppressed_total": (0, 1)},
        ({"redis_hotkey_labels_suppressed_total": 3},),
        1,
    ),
    # Warming.
    Case(
        "CacheWarmingFailed",
        {f'{WARM}_runs_total{{job_name="p",outcome="failed"}}': (0, 1)},
        (
            {
                f'{WARM}_runs_total{{job_name="p",outcome="failed"}}': (0, 1),
                f'{WARM}_runs_total{{job_name="p",outcome="complete"}}': (0, 1),
            },
            {f'{WARM}_runs_total{{job_name="p",outcome="failed"}}': 2},
        ),
        1,
    ),
    Case(
        "CacheWarmingOverdue",
        {f"{WARM}_last_success_timestamp_seconds{JOB}": -7201, f"{WARM}_leader{JOB}": 1},
        (
            {f"{WARM}_last_success_timestamp_seconds{JOB}": "-7199+60x600", f"{WARM}_leader{JOB}": 1},
            {f"{WARM}_last_success_timestamp_seconds{JOB}": -7201, f"{WARM}_leader{JOB}": 0},
        ),
    ),
    Case(
        "CacheWarmingCoverageLow",
        {f"{WARM}_coverage_ratio{JOB}": 0.94},
        ({f"{WARM}_coverage_ratio{JOB}": 0.95}, {f"{WARM}_coverage_ratio{JOB}": 1}),
    ),
    Case(
        "CacheWarmingKeysFailing",
        {
            f'{WARM}_keys_total{{job_name="p",result="failed"}}': (0, 6),
            f'{WARM}_keys_total{{job_name="p",result="written"}}': (0, 94),
        },
        (
            {
                f'{WARM}_keys_total{{job_name="p",result="failed"}}': (0, 4.5),
                f'{WARM}_keys_total{{job_name="p",result="written"}}': (0, 95.5),
            },
        ),
        1,
    ),
    Case(
        "CacheWarmingWasted",
        {f"{WARM}_wasted_keys_total{JOB}": (0, 910), f"{WARM}_useful_keys_total{JOB}": (0, 90)},
        (
            {f"{WARM}_wasted_keys_total{JOB}": (0, 890), f"{WARM}_useful_keys_total{JOB}": (0, 110)},
            {f"{WARM}_wasted_keys_total{JOB}": (0, 2.5), f"{WARM}_useful_keys_total{JOB}": 0},
        ),
        2,
    ),
    Case("CacheWarmingNoLeader", {f"{WARM}_leader{JOB}": 0}, ({f"{WARM}_leader{JOB}": 1},)),
    Case("CacheWarmingStuck", {f"{WARM}_running{JOB}": 1}, ({f"{WARM}_running{JOB}": 0},)),
    # Certificates: what a server says of itself counts where ours is not seen.
    *(
        Case(
            name,
            {f"redis_tls_{which}_cert_expires_in_seconds": limit - 1},
            (
                {f"redis_tls_{which}_cert_expires_in_seconds": limit},
                {
                    f"redis_tls_{which}_cert_expires_in_seconds": limit - 1,
                    'redis_tls_certificate_not_after_timestamp_seconds{role="server"}': 9e9,
                },
            ),
        )
        for name, limit in (("RedisCertificateExpires", 1209600), ("RedisCertificateExpiresNow", 259200))
        for which in ("server", "ca")
    ),
    *(
        Case(
            name,
            {f'redis_tls_certificate_not_after_timestamp_seconds{{role="{role}"}}': limit - 1},
            ({f'redis_tls_certificate_not_after_timestamp_seconds{{role="{role}"}}': limit + 3 * 3600},),
        )
        for name, limit in (("RedisCertificateExpires", 1209600), ("RedisCertificateExpiresNow", 259200))
        for role in ("server", "web")
    ),
)
