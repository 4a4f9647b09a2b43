"""The recorded incident in a real Prometheus, shared by the tests of a session."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from replay.dashboards import Range
from replay.prometheus import KEEP_FOR_EVER, Prometheus, a_prometheus, load, require_prometheus
from replay.recording import SAMPLES, Story, read_story


@contextmanager
def a_replay(samples: Path, story: Story) -> Iterator[Prometheus]:
    """Load the samples and serve them.

    A recording has no marks of where a series ends, and by default a series is taken to last for
    5 minutes after its last sample: here it is two scrapes and a half.
    """
    with tempfile.TemporaryDirectory(prefix="poolscope-replay-") as name:
        folder = Path(name)
        load(samples, folder)
        lookback = f"--query.lookback-delta={2.5 * story.scrape_interval_s * 1000:.0f}ms"
        with a_prometheus({}, folder, KEEP_FOR_EVER, lookback) as server:
            yield server


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
