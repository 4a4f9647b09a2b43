"""The recorded incident in a real Prometheus, shared by the tests of a session."""

import os
import shutil
from collections.abc import Iterator

import pytest

from poolscope_generators.incident.dashboards import Range
from poolscope_generators.incident.prometheus import Prometheus
from poolscope_generators.incident.recording import SAMPLES, Story, read_story
from poolscope_generators.incident.replay import a_replay


@pytest.fixture(scope="session")
def story() -> Story:
    """Return the recorded story."""
    return read_story()


@pytest.fixture(scope="session")
def replayed(story: Story) -> Iterator[Prometheus]:
    """Yield a Prometheus that has the incident in it."""
    require_prometheus()
    with a_replay(SAMPLES, story) as server:
        yield server


@pytest.fixture(scope="session")
def whole_incident(story: Story) -> Range:
    """Return the time range that shows all of it."""
    return Range(story.start, story.end, story.scrape_interval_s)


def require_prometheus() -> None:
    """Skip where the system's package is missing; in CI it must be there."""
    missing = [name for name in ("prometheus", "promtool") if shutil.which(name) is None]
    if missing and "CI" not in os.environ:
        pytest.skip(f"{' and '.join(missing)} not installed: apt-get install prometheus")
