"""Write the one version everywhere: `make version`, after changing that of `poolscope`."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "instrumentation" / "src" / "poolscope" / "version.py"
_SOURCE = re.compile(r'(?<=__version__ = ")[^"]+')
_CHART = ROOT / "deploy" / "helm" / "poolscope" / "Chart.yaml"
_KUBERNETES = ROOT / "deploy" / "kubernetes"
_IMAGE = re.compile(r"(?<=poolscope-exporter:)\d\S*")
_BUILT = re.compile(r"(?<=VERSION=)\d\S*")
COPIES = (
    (ROOT / "exporter" / "src" / "poolscope_exporter" / "version.py", _SOURCE),
    (ROOT / "exporter" / "pyproject.toml", re.compile(r'(?<="poolscope==)[^"]+')),
    (ROOT / "docs" / "upgrading.md", re.compile(r"(?<=^poolscope-exporter )\d\S*", re.MULTILINE)),
    (_CHART, re.compile(r"(?<=^version: )\S+", re.MULTILINE)),
    (_CHART, re.compile(r"(?<=^appVersion: )\S+", re.MULTILINE)),
    (_KUBERNETES / "standalone" / "deployment.yaml", _IMAGE),
    *((path, _IMAGE) for path in sorted(_KUBERNETES.glob("components/*/sidecar.yaml"))),
    (
        _KUBERNETES / "examples" / "standalone" / "kustomization.yaml",
        re.compile(r"(?<=newTag: )\S+"),
    ),
    (ROOT / "deploy" / "helm" / "examples" / "shop" / "values.yaml", _IMAGE),
    (ROOT / "deploy" / "image" / "Dockerfile", _BUILT),
    (ROOT / "deploy" / "image" / "README.md", _BUILT),
)
"""Each file and where in it the version stands, once."""


def version() -> str:
    """Return the version, from the only place where it is changed by hand."""
    return read(SOURCE, _SOURCE)


def read(path: Path, place: re.Pattern[str]) -> str:
    """Return the version that a file states; ValueError where it does not state exactly one."""
    [stated] = place.findall(path.read_text())
    return str(stated)


def write() -> None:
    """Write the version into every copy."""
    for path, place in COPIES:
        path.write_text(place.sub(version(), path.read_text()))


if __name__ == "__main__":
    write()
