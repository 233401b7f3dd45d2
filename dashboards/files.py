"""Which file holds what: the repository's root in, the text of every generated file out.

Reads `alerts/values.yaml`: where runbooks are and what was promised stands there once, for rules and dashboards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from dashboards.boards import exporter, fleet, hotkeys, redis, slo, warming
from dashboards.writing import config_maps, dashboard_json, datasources, json_text, provider

if TYPE_CHECKING:
    from pathlib import Path

    from dashboards.model import Dashboard


def boards(root: Path) -> list[tuple[Dashboard, dict[str, Any]]]:
    """Build all dashboards, each with its JSON."""
    values = yaml.safe_load((root / "alerts" / "values.yaml").read_text(encoding="utf-8"))
    promised, runbooks = values["thresholds"], values["runbooks"].rstrip("/")
    built = (
        fleet.board(runbooks),
        hotkeys.BOARD,
        redis.BOARD,
        warming.BOARD,
        slo.board(promised["availability_objective"], promised["errors_objective"]),
        exporter.BOARD,
    )
    return [(board, dashboard_json(board, runbooks)) for board in built]


def committed(root: Path) -> dict[Path, str]:
    """Build the text of every generated file."""
    here = root / "dashboards"
    built = boards(root)
    files = {here / "json" / f"{board.file}.json": json_text(document) for board, document in built}
    files[here / "configmap.yaml"] = config_maps(built)
    files[here / "provisioning" / "dashboards" / "hotkey-exporter.yaml"] = provider()
    files[here / "provisioning" / "datasources" / "hotkey-exporter.yaml"] = datasources()
    return files
