"""The dashboards as TypeScript, for the compiler to check against `@grafana/schema`: JSON in, one module out.

One constant for each part of a panel, with the type that Grafana has for it; a literal is checked for unknown keys.
Values of enumerations are strings in JSON, so the types are loosened to the strings of their members.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.dashboards.documents import panels

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# The directory of each panel type's schema, the name of its module, and whether it has field options of its own.
KINDS = {
    "timeseries": ("timeseries", "TimeSeries", True),
    "stat": ("stat", "Stat", False),
    "table": ("table", "Table", True),
    "bargauge": ("bargauge", "BarGauge", False),
    "heatmap": ("heatmap", "Heatmap", True),
    "state-timeline": ("statetimeline", "StateTimeline", True),
}
HEAD = """\
import type * as schema from '@grafana/schema';
type Loose<T> = T extends string ? `${T}` : T extends (infer U)[] ? Loose<U>[]
  : T extends object ? { [K in keyof T]: Loose<T[K]> } : T;
type Part<T> = Loose<Partial<T>>;
interface Query { datasource: { type: string; uid: string }; editorMode: 'code'; exemplar: boolean; expr: string;
  format: 'time_series' | 'table' | 'heatmap'; instant: boolean; legendFormat: string; range: boolean; refId: string }
"""


def module(documents: Mapping[str, Mapping[str, Any]]) -> str:
    """Write the module."""
    imports = [
        f"import type * as {name} from '@grafana/schema/dist/esm/raw/composable/{directory}/panelcfg/x/"
        f"{name}PanelCfg_types.gen';\n"
        for directory, name, _ in KINDS.values()
    ]
    constants = [
        f"export const c{n}: {kind} = {json.dumps(value)};\n" for n, (kind, value) in enumerate(_all(documents))
    ]
    return "".join([*imports, HEAD, *constants])


def _all(documents: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, Any]]:
    for document in documents.values():
        for panel in panels(document):
            yield from _parts(panel)
        bare = ("panels", "templating", "annotations", "time", "id")  # these have parts of their own, or are null
        yield "Part<schema.Dashboard>", {name: value for name, value in document.items() if name not in bare}
        for variable in document["templating"]["list"]:
            yield "Part<schema.VariableModel>", variable


def _parts(panel: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    _, name, custom = KINDS[panel["type"]]
    yield f"Part<{name}.Options>", panel["options"]
    defaults = panel["fieldConfig"]["defaults"]
    if custom:
        yield f"Part<{name}.FieldConfig>", defaults["custom"]
    yield "Part<schema.FieldConfig>", {key: value for key, value in defaults.items() if key != "custom"}
    for target in panel["targets"]:
        yield "Query", target
    own = ("options", "fieldConfig", "targets")
    yield "Part<schema.Panel>", {key: value for key, value in panel.items() if key not in own}
