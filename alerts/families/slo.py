"""Is the error budget being spent too fast? Multiwindow burn rates (SRE workbook, chapter 5), 30 days."""

from __future__ import annotations

from alerts.rule import Alert, Family, Recording
from dashboards.links import Uid

# Long window, short window, factor, `for`, severity: a page for 2 % of the budget in 1 h or 5 % in 6 h.
BURNS = (
    ("1h", "5m", 14.4, "2m", "critical"),
    ("6h", "30m", 6, "15m", "critical"),
    ("1d", "2h", 3, "1h", "warning"),
    ("3d", "6h", 1, "3h", "warning"),
)
WINDOWS = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")
# Errors that are the server's and not the caller's.
FAULTS = "OOM|LOADING|MISCONF|READONLY|MASTERDOWN|CLUSTERDOWN|NOREPLICAS|BUSY|TRYAGAIN|max"


def _recordings() -> tuple[Recording, ...]:
    found = [
        Recording(f"addr:redis_up:down_ratio_{window}", f"1 - avg_over_time(redis_up[{window}])") for window in WINDOWS
    ]
    for window in WINDOWS:
        bad = f'sum by ($on) (rate(redis_errors_total{{err=~"{FAULTS}"}}[{window}]))'
        every = f"sum by ($on) (rate(redis_commands_processed_total[{window}]))"
        record = f"addr:redis_errors:ratio_rate{window}"
        found.append(Recording(record, f"{bad} / ({every} + {bad} > $errors_min_commands)"))
    return tuple(found)


def _burns(name: str, record: str, objective: str, texts: tuple[str, str, str, str, str]) -> tuple[Alert, ...]:
    summary, what, why, causes, do = texts
    return tuple(
        Alert(
            name,
            f"{record}{long} > {factor} * (1 - ${objective}) and {record}{short} > {factor} * (1 - ${objective})",
            wait,
            severity,
            summary,
            f"{{{{ $labels.addr }}}} ({{{{ $labels.target }}}}): {{{{ $value | humanizePercentage }}}} {what} over {long}, "
            f"more than {factor:g} times what the objective allows.",
            why,
            causes,
            do,
            "slo",
            ("job", "instance", "target", "addr"),
            extra={"window": long},
        )
        for long, short, factor, wait, severity in BURNS
    )


FAMILY = Family(
    "slo",
    "Service level objectives",
    Uid.SLO,
    recordings=_recordings(),
    alerts=(
        *_burns(
            "RedisAvailabilityBurn",
            "addr:redis_up:down_ratio_",
            "availability_objective",
            (
                "The availability budget is being spent too fast.",
                "of the time down",
                "At this speed the objective of the month is missed. It also sees a node that flaps too fast for RedisDown.",
                "a node that keeps going down; one long outage",
                "see [RedisDown](RedisDown.md); look at the state timeline for a pattern",
            ),
        ),
        *_burns(
            "RedisErrorsBurn",
            "addr:redis_errors:ratio_rate",
            "errors_objective",
            (
                "The error budget is being spent too fast.",
                "of the commands refused",
                "Users get errors that are the server's fault: no memory, loading, read-only, busy, cluster down.",
                "OOM: see [RedisOutOfMemoryErrors](RedisOutOfMemoryErrors.md); MISCONF: a save failed; READONLY: clients "
                "write to a replica after a failover; BUSY: a script that does not end",
                "the panel of errors by prefix says which; follow the page of that cause; `SCRIPT KILL` for BUSY",
            ),
        ),
    ),
)
