"""PromQL for the panels: what the variables choose, in every selector. Pure.

Every query says by which labels its series differ, for three reasons: legends exist, labels of the scrape (pod,
namespace) do not multiply series, and two exporters that watch the same node give one series and not two.
"""

from __future__ import annotations

EXPORTER = 'job=~"$job", instance=~"$instance"'
TARGET = f'{EXPORTER}, target=~"$target"'
NODE = f'{TARGET}, addr=~"$addr"'
KEY = f'{NODE}, db=~"$db", key=~"$key"'
WARMING = f'{TARGET}, job_name=~"$job_name"'
NODES = ("target", "addr")
NODE_LEGEND = "{{target}} {{addr}}"
RATE = "$__rate_interval"
MASTERS = 'role="master"'
OVER_5M = 'window="5m"'


def select(metric: str, where: str = "", scope: str = NODE) -> str:
    """Write a selector: the metric in the scope of the variables, and what else must hold."""
    return f"{metric}{{{', '.join(part for part in (scope, where) if part)}}}"


def gauge(metric: str, *by: str, where: str = "", scope: str = NODE) -> str:
    """Write a gauge by node and further labels."""
    return by_node(select(metric, where, scope), *by)


def rate(metric: str, *by: str, where: str = "", scope: str = NODE) -> str:
    """Write the rate of a counter that has, beside the node's, exactly these labels."""
    return by_node(f"rate({select(metric, where, scope)}[{RATE}])", *by)


def rates(metric: str, *by: str, where: str = "", scope: str = NODE) -> str:
    """Write the summed rate of a counter that has more labels than these."""
    exporters = ", ".join(("job", "instance", *NODES, *by))
    return by_node(f"sum by ({exporters}) (rate({select(metric, where, scope)}[{RATE}]))", *by)


def by_node(expr: str, *by: str) -> str:
    """Reduce an expression to one series a node and further labels, whoever has scraped it."""
    return f"max by ({', '.join((*NODES, *by))}) ({expr})"


def by_target(expr: str, *by: str) -> str:
    """Add up the nodes of a target."""
    return f"sum by ({', '.join(('target', *by))}) ({expr})"


def by_exporter(expr: str, *by: str) -> str:
    """Reduce an expression to one series an exporter and further labels."""
    return f"max by ({', '.join(('instance', *by))}) ({expr})"


def of_exporters(expr: str) -> str:
    """Keep what is an exporter's: `up` and the metrics of a process are those of everything that Prometheus scrapes."""
    return f"{expr} and on (job, instance) last_over_time(hotkey_exporter_build_info{{{EXPORTER}}}[1d])"


def quotient(part: str, whole: str) -> str:
    """Divide; nothing where there is nothing to divide by, instead of NaN or infinity."""
    return f"{part} / ({whole} > 0)"


def quantile(q: float, metric: str, *by: str, scope: str = NODE) -> str:
    """Write a quantile of a histogram; nothing where nothing was counted, instead of NaN."""
    exporters = ", ".join(("job", "instance", *NODES, *by, "le"))
    buckets = by_node(f"sum by ({exporters}) (rate({select(f'{metric}_bucket', '', scope)}[{RATE}]))", *by, "le")
    return f"histogram_quantile({q}, {buckets}) > 0"


def top(count: int, expr: str, *by: str, over: str) -> str:
    """Keep the series of the `count` largest over the whole time shown, so that their number is bounded.

    `over` is a value for each combination of `by` at the end of the time shown.
    """
    return f"{expr} and on ({', '.join(by)}) topk({count}, {over})"


def total(metric: str, *by: str, where: str = "", scope: str = NODE) -> str:
    """Write how much a counter has grown in the time shown; an argument for `top`."""
    return f"sum by ({', '.join(by)}) (increase({select(metric, where, scope)}[$__range] @ end()))"


def age(metric: str, *by: str, where: str = "", scope: str = NODE) -> str:
    """Write how long ago a timestamp is."""
    return by_node(f"time() - {select(metric, where, scope)}", *by)
