"""Write what each panel gets as Grafana's data frames: what the pictures are made of."""

import argparse
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from poolscope_generators.incident.dashboards import Dashboard, Json, Panel, Range, read_dashboards
from poolscope_generators.incident.prometheus import Prometheus
from poolscope_generators.incident.recording import SAMPLES, Story, read_story
from poolscope_generators.incident.replay import a_replay

Point = tuple[float, str]

CHOSEN = {"poolscope-pool": {"service": ("shop",), "pool": ("shop",)}}
MOMENTS = {
    "poolscope-overview": "slow",
    "poolscope-fleet": "slow",
    "poolscope-pool": "exhausted",
    "poolscope-server": "slow",
    "poolscope-slo": "slow",
    "poolscope-exporter": "recovered",
}
"""At the end of which phase each dashboard is looked at."""


def write_frames(prometheus: Prometheus, story: Story, folder: Path) -> list[Path]:
    """Write a file for each dashboard; return them."""
    written = []
    for uid, moment in MOMENTS.items():
        time = Range(story.start, story.phase(moment).end, story.scrape_interval_s)
        boards = read_dashboards(prometheus, time, chosen=CHOSEN.get(uid))
        (board,) = (each for each in boards if each.uid == uid)
        path = folder / f"{uid}.json"
        path.write_text(json.dumps(_board(board)), encoding="utf-8")
        written.append(path)
    return written


def _board(board: Dashboard) -> Json:
    return {
        "uid": board.uid,
        "title": board.spec["title"],
        "from": board.time.start * 1000,
        "to": board.time.end * 1000,
        "variables": {
            name: {"label": spec.get("label") or name, "text": _chosen(board, name)}
            for spec in board.spec["templating"]["list"]
            if (name := spec["name"]) in board.variables
        },
        "rows": [each for each in board.spec["panels"] if each["type"] == "row"],
        "panels": [_panel(board, panel) for panel in board.panels()],
    }


def _chosen(board: Dashboard, name: str) -> str:
    variable = board.variables[name]
    if variable.chosen or variable.all_value is None:
        return ", ".join(variable.chosen or variable.options[:1])
    return "All"


def _panel(board: Dashboard, panel: Panel) -> Json:
    frames = [
        frame
        for target in panel.targets
        for frame in _frames(target, board.ask(target), board.time.step_s, len(panel.targets) > 1)
    ]
    spec = {key: value for key, value in panel.spec.items() if key != "targets"}
    return {"spec": _interpolated(board, spec), "frames": frames}


def _interpolated(board: Dashboard, spec: Json) -> Json:
    """Fill the variables of what is read; links have Grafana's own, and stay."""
    title = board.filled(spec.get("title", ""))
    return {**spec, "title": title}


def _frames(target: Json, result: Sequence[Json], step_s: float, several: bool) -> list[Json]:
    if target.get("format") == "table":
        return [_table(target, result, several)] if result else []
    return [_series(target, each, step_s) for each in result]


def _series(target: Json, series: Json, step_s: float) -> Json:
    points = list(_with_gaps(series["values"], step_s) if "values" in series else [series["value"]])
    labels = {name: value for name, value in series["metric"].items() if name != "__name__"}
    return {
        "refId": target["refId"],
        "fields": [
            {
                "name": "Time",
                "type": "time",
                "values": [float(at) * 1000 for at, _ in points],
                "config": {"interval": step_s * 1000},
            },
            {
                "name": "Value",
                "type": "number",
                "values": [_number(value) for _, value in points],
                "labels": labels,
                "config": {"displayNameFromDS": _legend(target, series["metric"])},
            },
        ],
    }


def _with_gaps(points: Sequence[Point], step_s: float) -> Iterator[Point]:
    """Yield the points, and one without a value where some are missing: no line joins them."""
    last = None
    for at, value in points:
        if last is not None and at - last > 1.5 * step_s:
            yield last + step_s, "NaN"
        yield at, value
        last = at


def _table(target: Json, result: Sequence[Json], several: bool) -> Json:
    names = sorted({name for each in result for name in each["metric"]})
    value = f"Value #{target['refId']}" if several else "Value"
    times = [each["value"][0] * 1000 for each in result]
    return {
        "refId": target["refId"],
        "fields": [
            {"name": "Time", "type": "time", "values": times},
            *(
                {"name": n, "type": "string", "values": [e["metric"].get(n, "") for e in result]}
                for n in names
            ),
            {
                "name": value,
                "type": "number",
                "values": [_number(each["value"][1]) for each in result],
            },
        ],
    }


def _number(text: str) -> float | None:
    return None if text in {"NaN", "+Inf", "-Inf"} else float(text)


def _legend(target: Json, metric: Mapping[str, str]) -> str:
    wanted = target.get("legendFormat") or "__auto"
    if wanted != "__auto":
        return re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda match: metric.get(match[1], ""), wanted)
    labels = [f'{name}="{value}"' for name, value in metric.items() if name != "__name__"]
    return f"{metric.get('__name__', '')}{{{', '.join(labels)}}}" if labels else "Value"


def main(arguments: Sequence[str] | None = None) -> int:
    """Load the recording and write the frames."""
    parser = argparse.ArgumentParser(
        prog="poolscope_generators.incident.frames", description=__doc__
    )
    parser.add_argument("folder", type=Path)
    options: Any = parser.parse_args(arguments)
    options.folder.mkdir(parents=True, exist_ok=True)
    with a_replay(SAMPLES, read_story()) as prometheus:
        write_frames(prometheus, read_story(), options.folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
