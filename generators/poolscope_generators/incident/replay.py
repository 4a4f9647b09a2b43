"""The recorded incident in a real Prometheus."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from poolscope_generators.incident.prometheus import KEEP_FOR_EVER, Prometheus, a_prometheus, load
from poolscope_generators.incident.recording import Story


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
