#!/usr/bin/env python3
"""Copy rules and dashboards to where Helm and kustomize can read them: `make rules`.

Helm packs only what lies in the chart and follows no links; kustomize wants every file named. The
sources are alerts/*.rules.yaml and dashboards/*.json; `--check` only says what differs.
"""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CHART_FILES = Path("deploy/helm/poolscope/files")
DASHBOARDS = Path("dashboards")
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
