#!/usr/bin/env python3
"""Write what Helm and kustomize take from elsewhere in the repository: `make rules`.

Helm packs only what lies in the chart and follows no links; kustomize wants every file named. The
sources are alerts/*.rules.yaml and dashboards/*.json; the schema of the chart's `settings` follows
the exporter's own declaration of them. `--check` only says what differs.
"""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from poolscope_exporter.settings.declaration import Option
from poolscope_exporter.settings.options import OPTIONS

ROOT = Path(__file__).resolve().parent.parent
CHART_FILES = Path("deploy/helm/poolscope/files")
DASHBOARDS = Path("dashboards")
SCHEMA = Path("deploy/helm/poolscope/values.schema.json")
_HEAD = """\
# Written by make rules: a ConfigMap for each dashboard, as Grafana's sidecar looks for them.
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
generatorOptions:
  disableNameSuffixHash: true
  labels:
    grafana_dashboard: "1"
configMapGenerator:
"""


def wanted(root: Path = ROOT) -> Mapping[Path, str]:
    """Return the text of every copy, by its path below the root."""
    return dict(_wanted(root))


def _wanted(root: Path) -> Iterator[tuple[Path, str]]:
    for path in sorted((root / "alerts").glob("*.rules.yaml")):
        yield CHART_FILES / path.name, path.read_text(encoding="utf-8")
    dashboards = sorted((root / DASHBOARDS).glob("*.json"))
    for path in dashboards:
        yield CHART_FILES / DASHBOARDS / path.name, path.read_text(encoding="utf-8")
    if dashboards:
        maps = (f"  - name: {path.stem}\n    files: [{path.name}]\n" for path in dashboards)
        yield DASHBOARDS / "kustomization.yaml", _HEAD + "".join(maps)
    schema = root / SCHEMA
    if schema.is_file():
        yield SCHEMA, with_settings(schema.read_text(encoding="utf-8"))


def with_settings(schema: str, options: Iterable[Option] = OPTIONS) -> str:
    """Return the chart's schema with the settings that its values may hold.

    YAML reads `5` as a number and `true` as a boolean; the template writes both as strings.
    """
    content = json.loads(schema)
    scalar = {"type": ["string", "number", "boolean"]}
    allowed = {option.variable: scalar for option in options if option.in_chart}
    content["properties"]["settings"]["properties"] = allowed
    return json.dumps(content, indent=2) + "\n"


def stale(root: Path = ROOT) -> Iterator[Path]:
    """Yield what differs from its source, is missing, or has no source any more."""
    texts = wanted(root)
    for path, text in texts.items():
        there = root / path
        if not there.is_file() or there.read_text(encoding="utf-8") != text:
            yield path
    for there in sorted((root / CHART_FILES).rglob("*.*")):
        if there.is_file() and there.relative_to(root) not in texts:
            yield there.relative_to(root)


def write(root: Path = ROOT) -> None:
    """Make the copies what their sources are."""
    texts = wanted(root)
    for path in tuple(stale(root)):
        there = root / path
        if path in texts:
            there.parent.mkdir(parents=True, exist_ok=True)
            there.write_text(texts[path], encoding="utf-8")
        else:
            there.unlink()


def main(arguments: list[str]) -> int:
    """Write, or with `--check` return 1 where something differs."""
    if arguments != ["--check"]:
        write()
        return 0
    different = tuple(stale())
    for path in different:
        print(f"{path} differs from its source: make rules", file=sys.stderr)  # noqa: T201 - a command's own words
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
