"""The report of a saved stream, written down: as one JSON object, or as tables and a small plot for a terminal."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from exporter.analyze.lines import LARGE_BYTES
from exporter.keynames import KeyNames

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.analyze.counting import Report

_SHOWN = 20  # rows of a table on a terminal
_PLOT_WIDTH = 60
_LISTED_CLIENTS = 100
_BLOCKS = " ▁▂▃▄▅▆▇█"


def _labels() -> Callable[[bytes], str]:
    """Write keys in clear, cut to 128 characters: this is the user's own file on the user's own terminal."""
    return KeyNames(privacy="clear", mask=()).label


def to_json(report: Report) -> str:
    """One JSON object, as the contract names its fields."""
    label = _labels()
    keys = [
        {"db": one.db, "key": label(one.key), "accesses": one.accesses, "reads": one.reads, "writes": one.writes}
        for one in report.keys
    ]
    return json.dumps(
        {
            "commands": report.commands,
            "skipped": report.skipped,
            "skipped_lines": report.skipped_lines,
            "seconds": round(report.seconds, 6),
            "accesses": report.accesses,
            "distinct_keys": report.distinct_keys,
            "undercount": report.undercount,
            "keys": keys,
            "groups": [{"group": name, "accesses": accesses} for name, accesses in report.groups],
            "command_counts": dict(report.command_counts),
            "clients": [{"client": host, "commands": times} for host, times in report.clients[:_LISTED_CLIENTS]],
            "heaviest": [
                {
                    "db": one.db,
                    "key": label(one.key),
                    "bytes": one.bytes,
                    "commands": one.commands,
                    "largest": one.largest,
                }
                for one in report.heaviest
            ],
            "rate": None
            if report.rate is None
            else {
                "start": datetime.fromtimestamp(report.rate.start, UTC).isoformat().replace("+00:00", "Z"),
                "step_seconds": report.rate.step_seconds,
                "commands": report.rate.commands,
            },
        },
        ensure_ascii=False,
    )


def to_text(report: Report) -> str:
    """Tables for a terminal, and the rate over time as a line of blocks."""
    parts = (_summary, _plot, _key_table, _group_table, _commands, _clients, _heaviest)
    return "\n\n".join("\n".join(lines) for part in parts if (lines := part(report)))


def _summary(report: Report) -> list[str]:
    rate = f", {report.commands / report.seconds:,.1f} a second" if report.seconds else ""
    lines = [
        f"{report.commands:,} commands in {report.seconds:,.3f} s{rate}",
        f"{report.accesses:,} key accesses, {report.distinct_keys:,} distinct keys",
    ]
    if report.undercount:
        lines[1] += f" kept of more; no count is more than {report.undercount:,} too low"
    if report.skipped:
        numbers = ", ".join(f"{number:,}" for number in report.skipped_lines)
        more = ", …" if report.skipped > len(report.skipped_lines) else ""
        lines.append(f"{report.skipped:,} lines skipped that are none of MONITOR's (line {numbers}{more})")
    return lines


def _key_table(report: Report) -> list[str]:
    label = _labels()
    total = report.accesses or 1
    lines = [f"{'accesses':>13} {'share':>7} {'reads':>13} {'writes':>13} {'db':>3}  key"]
    for one in report.keys:
        share = one.accesses / total
        counts = f"{one.accesses:>13,} {share:>7.2%} {one.reads:>13,} {one.writes:>13,} {one.db:>3}"
        lines.append(f"{counts}  {label(one.key) or '(empty)'}")
    return lines


def _group_table(report: Report) -> list[str]:
    total = report.accesses or 1
    lines = [f"{times:>13,} {times / total:>7.2%}  {name or '(empty)'}" for name, times in report.groups[:_SHOWN]]
    return [f"{'accesses':>13} {'share':>7}  group", *lines]


def _commands(report: Report) -> list[str]:
    total = report.commands or 1
    lines = [
        f"{times:>13,} {times / total:>7.2%}  {name}" for name, times in list(report.command_counts.items())[:_SHOWN]
    ]
    return [f"{'times':>13} {'share':>7}  command", *lines]


def _clients(report: Report) -> list[str]:
    total = sum(times for _, times in report.clients) or 1
    lines = [f"{times:>13,} {times / total:>7.2%}  {host}" for host, times in report.clients[:_SHOWN]]
    return [f"{'commands':>13} {'share':>7}  client", *lines] if lines else []


def _heaviest(report: Report) -> list[str]:
    label = _labels()
    lines = [
        f"{one.bytes:>13,} {one.commands:>13,} {one.largest:>13,} {one.db:>3}  {label(one.key) or '(empty)'}"
        for one in report.heaviest
    ]
    title = (
        f"{'bytes':>13} {'commands':>13} {'largest':>13} {'db':>3}  key, in commands of {LARGE_BYTES} bytes and more"
    )
    return [title, *lines] if lines else []


def _plot(report: Report) -> list[str]:
    """Commands a second over time; each block is as many steps as it takes to fit, and shows their mean."""
    rate = report.rate
    if rate is None or len(rate.commands) < 2:
        return []
    # The first and the last step were recorded in part only.
    skipped = 1 if len(rate.commands) > 4 else 0
    steps = rate.commands[skipped : len(rate.commands) - skipped]
    stretch = -(-len(steps) // _PLOT_WIDTH)
    parts = [steps[start : start + stretch] for start in range(0, len(steps), stretch)]
    means = [sum(part) / len(part) / rate.step_seconds for part in parts]
    most = max(means) or 1.0
    blocks = "".join(_BLOCKS[round(mean / most * (len(_BLOCKS) - 1))] for mean in means)
    start = datetime.fromtimestamp(rate.start + skipped * rate.step_seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return [
        f"commands a second, {min(means):,.0f} to {max(means):,.0f}; "
        f"{stretch * rate.step_seconds} s each, from {start}",
        f"  {blocks}",
    ]
