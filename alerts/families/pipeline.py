"""Is anybody looking? The exporter, its scrapes and its own jobs."""

from __future__ import annotations

from alerts.rule import Alert, Family
from dashboards.links import Uid

SCRAPE = ("job", "instance")

FAMILY = Family(
    "pipeline",
    "The pipeline itself",
    Uid.SELF,
    alerts=(
        Alert(
            "Watchdog",
            "vector(1)",
            "",
            "none",
            "The alerting pipeline works.",
            "This alert always fires. A dead man's switch must complain when it stops arriving.",
            "When it stops, Prometheus, Alertmanager or the way between them is broken, and nobody would be told of "
            "anything else.",
            "it fires: all is well; it stopped: Prometheus is down, does not load the rules, or cannot reach Alertmanager",
            "look at `/alerts` of Prometheus; look at `/#/status` of Alertmanager; look at `prometheus_notifications_dropped_total`",
            "self",
            (),
        ),
        Alert(
            "HotkeyExporterDown",
            'up{job="$job"} == 0',
            "1m",
            "critical",
            "Prometheus cannot scrape the exporter.",
            "{{ $labels.instance }} does not answer its scrapes: nothing is known of the servers it watches.",
            "All other alerts of this exporter are blind: a Redis that fails now fails silently.",
            "the process ended or hangs; the address, port or TLS settings of the scrape are wrong; a firewall; "
            "the host is down",
            "curl `/-/healthy` from the Prometheus host; look at the exporter's log; start it again; "
            "`hotkey-exporter check --config FILE` if it refuses to start",
            "self",
            SCRAPE,
        ),
        Alert(
            "HotkeyExporterAbsent",
            'absent(up{job="$job"})',
            "5m",
            "critical",
            "No exporter is scraped at all.",
            "Prometheus has no target of the job {{ $labels.job }}: service discovery or the scrape configuration lost it.",
            "Without a target there is no `up` that could be 0: a rule on `up == 0` alone would stay silent.",
            "the scrape job was renamed or removed; service discovery finds nothing; `job` in values.yaml is another name",
            "look at `/targets` of Prometheus; compare `job` in alerts/values.yaml with the scrape configuration",
            "self",
            ("job",),
        ),
        Alert(
            "HotkeyExporterScrapeSlow",
            'scrape_duration_seconds{job="$job"} > $scrape_seconds',
            "10m",
            "warning",
            "Scrapes of the exporter are slow.",
            "A scrape of {{ $labels.instance }} takes {{ $value | humanizeDuration }}; it answers from memory.",
            "A scrape that reaches its timeout is a gap in every panel and a false HotkeyExporterDown.",
            "the host has no CPU left; a very large number of series; a slow network",
            "look at CPU of the host; compare `scrape_samples_scraped` with last week; lower `sampling.top`",
            "self",
            SCRAPE,
        ),
        Alert(
            "HotkeyExporterJobFailing",
            'increase(hotkey_exporter_job_runs_total{outcome="failed"}[15m]) > $job_failures',
            "5m",
            "warning",
            "A scheduled job of the exporter keeps failing.",
            "{{ $labels.job_name }} of {{ $labels.instance }} failed {{ $value | humanize }} times in 15 minutes.",
            "What the job measures is old or absent.",
            "the user may not run a command; the server is slow or down; a bug",
            "look for the job's name in the log; run `hotkey-exporter check`",
            "self",
            ("job", "instance", "job_name"),
        ),
        Alert(
            "HotkeyExporterConfigRejected",
            "hotkey_exporter_config_last_reload_successful == 0",
            "5m",
            "warning",
            "The exporter runs on an older configuration.",
            "The configuration file of {{ $labels.instance }} was rejected when it was last read.",
            "The next restart will fail, usually at the worst moment.",
            "a mistake in the file; a secret file that is not there",
            "run `hotkey-exporter check --config FILE`: it lists every problem with its place; correct, then SIGHUP",
            "self",
            SCRAPE,
        ),
        Alert(
            "HotkeyExporterRestarting",
            'changes(process_start_time_seconds{job="$job"}[15m]) > $exporter_starts',
            "1m",
            "warning",
            "The exporter keeps restarting.",
            "{{ $labels.instance }} started {{ $value }} times in 15 minutes.",
            "Windows start empty after each start: figures are of short times, counters jump.",
            "the memory limit of its container is too small; a crash; a liveness probe that is too strict",
            "look at the log of the previous process; `kubectl describe pod` shows the last state; raise the limit",
            "self",
            SCRAPE,
        ),
        Alert(
            "HotkeyExporterLogErrors",
            'sum by (job, instance) (rate(hotkey_exporter_log_events_total{level=~"error|critical"}[10m])) * 60 '
            "> $log_errors_per_minute",
            "15m",
            "warning",
            "The exporter logs errors steadily.",
            "{{ $labels.instance }} logs {{ $value | humanize }} errors a minute.",
            "Something does not work although the process lives.",
            "a target that cannot be reached; missing rights; a full disk",
            "read the log at level error: each line names the act and the node",
            "self",
            SCRAPE,
        ),
    ),
)
