"""What the exporter has: `docs/metrics.md` (which the code writes) in, every series name with its labels out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import yaml

from tests.servers import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping

ROW = re.compile(r"^\| `(?P<name>[a-z_0-9]+)` \| (?P<kind>\w+) \| (?P<labels>[^|]*) \|", re.MULTILINE)
SCRAPE = {"job", "instance"}
NODE = SCRAPE | {"target", "addr"}
OF_PROMETHEUS: Mapping[str, set[str]] = {
    "up": SCRAPE,
    "scrape_duration_seconds": SCRAPE,
    "scrape_samples_scraped": SCRAPE,
    "scrape_series_added": SCRAPE,
}
ALERT_LABELS = {"alertname", "alertstate", "severity", "component"}


def families() -> dict[str, tuple[str, set[str]]]:
    """Each family of the exporter: its type and its labels, those of the scrape included."""
    found: dict[str, tuple[str, set[str]]] = {}
    text = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    for part in re.split(r"^## ", text, flags=re.MULTILINE):
        title, of_process = part.partition("\n")[0], part.startswith(("This process", "Warming"))
        if title == "One scrape":
            continue  # of /scrape only, for the dashboards of redis_exporter
        for match in ROW.finditer(part):
            labels = set() if title.startswith("INFO") else set(re.findall(r"`(\w+)`", match["labels"]))
            found[match["name"]] = match["kind"], labels | (SCRAPE if of_process else NODE)
    return found


def of_scrape() -> set[str]:
    """The families that only `/scrape` has."""
    text = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    part = next(one for one in re.split(r"^## ", text, flags=re.MULTILINE) if one.startswith("One scrape"))
    return {match["name"] for match in ROW.finditer(part)}


def family(name: str) -> str:
    """The family that a sample of this name belongs to."""
    known = families()
    base = re.sub(r"_(bucket|count|sum)$", "", name)
    return base if name not in known and base in known and known[base][0] in {"histogram", "summary"} else name


def rules() -> list[tuple[str, str, bool]]:
    """Every rule of `alerts/`: its name, its expression, and whether it records."""
    found = []
    for path in sorted((ROOT / "alerts" / "rules").glob("*.yaml")):
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]:
            found += [(one.get("record") or one["alert"], one["expr"], "record" in one) for one in group["rules"]]
    return found


def series() -> dict[str, set[str]]:
    """Every name that an expression may use, with the labels that it may name."""
    known: dict[str, set[str]] = dict(OF_PROMETHEUS)
    for name, (kind, labels) in families().items():
        if kind == "histogram":
            known |= {f"{name}_bucket": labels | {"le"}, f"{name}_count": labels, f"{name}_sum": labels}
        elif kind == "summary":
            known |= {name: labels | {"quantile"}, f"{name}_count": labels, f"{name}_sum": labels}
        else:
            known[name] = labels
    everything = set().union(*known.values())
    known |= {name: NODE | {"job_name"} for name, _, records in rules() if records}
    return known | {"ALERTS": everything | ALERT_LABELS}
