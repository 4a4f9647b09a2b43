"""Convert the settings and the versions of the exporter to an answer of the API."""

import platform
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from importlib import metadata
from typing import Any, Final

from poolscope_exporter.settings.shown_settings import ShownSetting
from poolscope_exporter.version import __version__

LIBRARIES: Final = (
    "poolscope",
    "fastapi",
    "starlette",
    "uvicorn",
    "h11",
    "httpx",
    "psycopg",
    "protobuf",
    "prometheus-client",
    "opentelemetry-proto",
    "pydantic",
    "jinja2",
)


def setup_answer(settings: Iterable[ShownSetting]) -> dict[str, Any]:
    """Return the fields of the answer."""
    return {"settings": [asdict(each) for each in settings], "versions": dict(versions())}


def versions() -> Mapping[str, str]:
    """Return the versions of the exporter, Python, the system, and the installed libraries."""
    found = {
        "poolscope-exporter": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
    }
    for library in LIBRARIES:
        try:
            found[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            found[library] = "not installed"
    return found
