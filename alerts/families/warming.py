"""Is the cache kept warm, and is it worth it? The metrics carry the target only: a failover moves the address."""

from __future__ import annotations

from alerts.rule import Alert, Family, Recording
from dashboards.links import Uid

JOB = ("job", "instance", "target", "job_name")
BY = "job, instance, target, job_name"

FAMILY = Family(
    "warming",
    "Cache warming",
    Uid.WARMING,
    recordings=(
        Recording(
            "job_name:redis_cache_warming_keys_failed:ratio_increase1h",
            f'sum by ({BY}) (increase(redis_cache_warming_keys_total{{result="failed"}}[1h])) '
            f"/ (sum by ({BY}) (increase(redis_cache_warming_keys_total[1h])) > 0)",
        ),
        Recording(
            "job_name:redis_cache_warming_keys_wasted:ratio_increase6h",
            "increase(redis_cache_warming_wasted_keys_total[6h]) / (increase(redis_cache_warming_wasted_keys_total[6h]) "
            "+ increase(redis_cache_warming_useful_keys_total[6h]) > $warming_min_keys)",
        ),
    ),
    alerts=(
        Alert(
            "CacheWarmingFailed",
            f'sum by ({BY}) (increase(redis_cache_warming_runs_total{{outcome=~"failed|aborted"}}[30m])) > 0 unless '
            f'sum by ({BY}) (increase(redis_cache_warming_runs_total{{outcome=~"complete|partial"}}[30m])) > 0',
            "1m",
            "warning",
            "A warming job fails.",
            "{{ $labels.job_name }} of {{ $labels.target }} failed {{ $value | humanize }} times in 30 minutes and never succeeded.",
            "The cache cools: misses go to the source.",
            "the source is down or its query is wrong; a guard stopped it (memory, evictions, failover); rights",
            "`/api/v1/warming` has the reason of the last run; `hotkey-exporter warm JOB --dry-run`",
            "warming",
            JOB,
        ),
        Alert(
            "CacheWarmingOverdue",
            "time() - redis_cache_warming_last_success_timestamp_seconds > $warming_age_seconds "
            f"and on ({BY}) redis_cache_warming_leader == 1",
            "5m",
            "warning",
            "A warming job has not completed for long.",
            "{{ $labels.job_name }} of {{ $labels.target }} completed last {{ $value | humanizeDuration }} ago.",
            "What it wrote expires.",
            "it fails, hangs or is not scheduled; its interval is longer than the limit of this alert",
            "`/api/v1/warming`; see [CacheWarmingFailed](CacheWarmingFailed.md)",
            "warming",
            JOB,
        ),
        Alert(
            "CacheWarmingCoverageLow",
            "redis_cache_warming_coverage_ratio < $warming_coverage_ratio",
            "10m",
            "warning",
            "A warming job leaves keys cold.",
            "After {{ $labels.job_name }} of {{ $labels.target }}, {{ $value | humanizePercentage }} of the wanted keys are there.",
            "The others are misses.",
            "the source lacks them; errors of single keys; evictions while it runs",
            "look at keys by result; raise maxmemory, or select fewer keys",
            "warming",
            JOB,
        ),
        Alert(
            "CacheWarmingKeysFailing",
            "job_name:redis_cache_warming_keys_failed:ratio_increase1h > $warming_failed_ratio",
            "10m",
            "warning",
            "Many keys cannot be warmed.",
            "{{ $value | humanizePercentage }} of the keys of {{ $labels.job_name }} ({{ $labels.target }}) failed within an hour.",
            "They stay cold, and the source is asked in vain.",
            "fields that the template needs are missing; values that are too large; a source that times out",
            "the log names the fault; `hotkey-exporter warm JOB --dry-run --limit 100`",
            "warming",
            JOB,
        ),
        Alert(
            "CacheWarmingWasted",
            "job_name:redis_cache_warming_keys_wasted:ratio_increase6h > $warming_wasted_ratio",
            "1h",
            "info",
            "Most of what is warmed is never read.",
            "{{ $value | humanizePercentage }} of the keys of {{ $labels.job_name }} ({{ $labels.target }}) expired unread.",
            "It costs the source and the memory, and helps nobody.",
            "too many keys; a life that is too short; keys that nobody asks for any more",
            "`select: hot` or `missed` warms what is asked for; a longer `ttl`; a smaller `max_keys`",
            "warming",
            JOB,
        ),
        Alert(
            "CacheWarmingNoLeader",
            "max by (job, target, job_name) (redis_cache_warming_leader) == 0",
            "5m",
            "warning",
            "No exporter runs a warming job.",
            "No process is the leader for {{ $labels.job_name }} of {{ $labels.target }}.",
            "Nobody warms.",
            "the lease cannot be written; all processes wait for a leader that died a moment ago",
            "look for `lease` in the logs; check the right to write the lease's key",
            "warming",
            ("job", "target", "job_name"),
        ),
        Alert(
            "CacheWarmingStuck",
            "redis_cache_warming_running == 1",
            "2h",
            "warning",
            "A warming job does not end.",
            "{{ $labels.job_name }} of {{ $labels.target }} has been running for more than two hours.",
            "It will not be done before its next run.",
            "a slow source; a rate limit that is too low for so many keys",
            "`/api/v1/warming` shows its progress; raise `rate_limit`, or lower `max_keys`",
            "warming",
            JOB,
        ),
    ),
)
