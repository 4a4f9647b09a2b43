"""What is recorded can be read again, and is the same bytes each time."""

import gzip
from pathlib import Path

from poolscope_generators.incident.recording import (
    Phase,
    Story,
    read_story,
    write_samples,
    write_story,
)

SERIES = [
    {"metric": {"__name__": "b", "route": 'a "b" \\'}, "values": [(1.0, "2")]},
    {"metric": {"__name__": "a"}, "values": [(1.0, "1"), (6.5, "NaN")]},
]


def test_samples_are_openmetrics_ordered_by_name_and_escaped(tmp_path: Path) -> None:
    path = tmp_path / "samples.gz"
    assert write_samples(SERIES, path) == 3
    assert gzip.decompress(path.read_bytes()).decode().splitlines() == [
        "a{} 1 1.000",
        "a{} NaN 6.500",
        'b{route="a \\"b\\" \\\\"} 2 1.000',
        "# EOF",
    ]


def test_the_same_samples_are_the_same_bytes(tmp_path: Path) -> None:
    one, other = tmp_path / "one.gz", tmp_path / "other.gz"
    write_samples(SERIES, one)
    write_samples(list(reversed(SERIES)), other)
    assert one.read_bytes() == other.read_bytes()


def test_a_story_is_read_as_it_was_written(tmp_path: Path) -> None:
    story = Story(5.0, (Phase("calm", "nothing happens", 10, 20), Phase("leak", "one", 20, 30)))
    write_story(story, tmp_path / "story.json")
    assert read_story(tmp_path / "story.json") == story
    assert (story.start, story.end, story.phase("leak").start) == (10, 30, 20)
