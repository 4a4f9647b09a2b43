"""Writes dashboards as TypeScript, one constant for each part, typed as Grafana publishes it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from support.dashboard_linter.dashboard import Dashboard, Json, variables

_NOTHING = "Record<string, never>"
KINDS: Mapping[str, tuple[str, str]] = {
    "bargauge": ("BarGauge", _NOTHING),
    "stat": ("Stat", _NOTHING),
    "state-timeline": ("StateTimeline", "StateTimeline.FieldConfig & Gaps"),
    "table": ("Table", "Table.FieldConfig"),
    "text": ("Text", _NOTHING),
    "timeseries": ("TimeSeries", "TimeSeries.FieldConfig"),
}
"""The kinds of panels, as their types are called; and the type of their fields' own options."""

_OWN = "custom"
_HEAD = """\
import type {
  AnnotationQuery, Dashboard, FieldConfig, FieldConfigSource, Panel, RowPanel, VariableModel,
} from '@grafana/schema';
import type { PrometheusDataQuery } from
  'grafana-schema-10/dist/esm/raw/composable/prometheus/dataquery/x/PrometheusDataQuery_types.gen';
import type { Gaps, PrometheusAnnotation, SavedVariable, Written } from './written';
"""


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of JSON, the type that it must have, and where it stands."""

    where: str
    type: str
    json: object


def source(parts: list[Part]) -> tuple[str, Mapping[int, str]]:
    """Return TypeScript, and where the JSON of each line comes from; lines count from 1."""
    lines = [*_HEAD.splitlines(), *_imports()]
    places: dict[int, str] = {}
    for number, part in enumerate(parts):
        text = json.dumps(part.json, ensure_ascii=False)
        lines.append(f"export const part{number}: Written<{part.type}> = {text};")
        places[len(lines)] = part.where
    return "\n".join(lines) + "\n", places


def _imports() -> Iterator[str]:
    for kind, (name, _) in KINDS.items():
        folder = kind.replace("-", "")
        path = (
            f"@grafana/schema/dist/esm/raw/composable/{folder}/panelcfg/x/{name}PanelCfg_types.gen"
        )
        yield f"import type * as {name} from '{path}';"


def parts_of(name: str, dashboard: Dashboard) -> Iterator[Part]:
    """Yield every part of a dashboard."""
    apart = {"panels", "templating", "annotations"}
    frame = {key: value for key, value in dashboard.items() if key not in apart}
    yield Part(name, "Omit<Dashboard, 'panels' | 'templating' | 'annotations'>", frame)
    for variable in variables(dashboard):
        yield Part(
            f"{name}: variable {variable['name']}", "VariableModel & SavedVariable", variable
        )
    for annotation in dashboard.get("annotations", {}).get("list", []):
        yield from _annotation(f"{name}: annotation {annotation.get('name')}", annotation)
    for panel in dashboard.get("panels", []):
        yield from _panel(name, panel)


def query_part(where: str, query: Json) -> Part:
    """Return a query of Prometheus."""
    return Part(where, "PrometheusDataQuery", query)


def _annotation(where: str, annotation: Json) -> Iterator[Part]:
    kind = "Omit<AnnotationQuery, 'target'> & PrometheusAnnotation"
    yield Part(where, kind, _without(annotation, "target"))
    if "expr" in annotation.get("target", {}):
        yield query_part(f"{where}: target", annotation["target"])


def _panel(name: str, panel: Json) -> Iterator[Part]:
    where = f"{name}: panel {panel.get('id')}, {panel.get('title')}"
    if panel["type"] == "row":
        yield Part(where, "Omit<RowPanel, 'panels'>", _without(panel, "panels"))
        for inner in panel.get("panels", []):
            yield from _panel(name, inner)
        return
    apart = ("options", "fieldConfig", "targets")
    yield Part(where, "Omit<Panel, 'options' | 'fieldConfig' | 'targets'>", _without(panel, *apart))
    kind, _ = KINDS[panel["type"]]
    yield Part(f"{where}: options", f"{kind}.Options", panel.get("options", {}))
    for target in panel.get("targets", []):
        yield query_part(f"{where}: target {target.get('refId')}", target)
    yield from _fields(where, panel)


def _fields(where: str, panel: Json) -> Iterator[Part]:
    config = panel.get("fieldConfig", {})
    defaults = config.get("defaults", {})
    yield Part(
        f"{where}: fields", "Omit<FieldConfigSource, 'defaults'>", _without(config, "defaults")
    )
    yield from _field_parts(f"{where}: field", panel["type"], defaults)
    for override in config.get("overrides", []):
        values = {each["id"]: each.get("value") for each in override["properties"]}
        yield from _field_parts(f"{where}: override", panel["type"], _nested(values))


def _field_parts(where: str, kind: str, values: Json) -> Iterator[Part]:
    yield Part(where, f"Omit<FieldConfig, '{_OWN}'>", _without(values, _OWN))
    yield Part(f"{where}: {_OWN}", KINDS[kind][1], values.get(_OWN, {}))


def _nested(values: Json) -> dict[str, Any]:
    """Return `custom.a.b` as what it means."""
    found: dict[str, Any] = {}
    for path, value in values.items():
        *folders, last = path.split(".")
        place = found
        for folder in folders:
            place = place.setdefault(folder, {})
        place[last] = value
    return found


def _without(json: Json, *keys: str) -> dict[str, Any]:
    return {key: value for key, value in json.items() if key not in keys}
