"""Write what the recorded incident told, and when, into docs/incident.md: `make told`."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from poolscope_generators.incident.alarms import Alarm, alarms
from poolscope_generators.incident.prometheus import Prometheus
from poolscope_generators.incident.recording import SAMPLES, Story, read_story
from poolscope_generators.incident.replay import a_replay

DOCUMENT = Path(__file__).parents[3] / "docs" / "incident.md"
BEGIN, END = "<!-- told: written by make told -->\n", "<!-- /told -->\n"


def tables(story: Story, found: Sequence[Alarm]) -> str:
    """Return the phases, and when each alert first fired, as two tables."""
    return "".join(f"{line}\n" for line in (*_phases(story), "", *_alerts(story, found)))


def _phases(story: Story) -> Iterator[str]:
    yield "| from | phase | what happens |"
    yield "|---|---|---|"
    for phase in story.phases:
        yield f"| {_clock(story, phase.start)} | {phase.name} | {phase.says} |"


def _alerts(story: Story, found: Sequence[Alarm]) -> Iterator[str]:
    yield "| alert | severity | first fires | in phase | first of |"
    yield "|---|---|---|---|---|"
    firsts: dict[str, Alarm] = {}
    for alarm in sorted(found, key=lambda each: (each.start, str(each))):
        firsts.setdefault(alarm.alert.name, alarm)
    for name, alarm in firsts.items():
        phase = next(p.name for p in story.phases if p.start <= alarm.start <= p.end)
        severity = alarm.alert.severity.value
        subject = _subject(alarm.labels)
        yield f"| {name} | {severity} | {_clock(story, alarm.start)} | {phase} | {subject} |"


def _subject(labels: Mapping[str, str]) -> str:
    """Return the service and the pool, or else the server, that an alert is about."""
    pool = labels.get("db_client_connection_pool_name")
    return f"{labels['service_name']} / {pool}" if pool else labels.get("server", "")


def _clock(story: Story, at: float) -> str:
    minutes, seconds = divmod(round(at - story.start), 60)
    return f"{minutes}:{seconds:02d}"


def told(prometheus: Prometheus, story: Story) -> str:
    """Return the tables of the recording."""
    found = alarms(prometheus, story.start, story.end, story.scrape_interval_s)
    return tables(story, found)


def with_tables(document: str, text: str) -> str:
    """Return the document with these tables in their place."""
    head, _, rest = document.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return head + BEGIN + text + END + tail


def main() -> int:
    """Write the document."""
    story = read_story()
    with a_replay(SAMPLES, story) as prometheus:
        text = told(prometheus, story)
    document = DOCUMENT.read_text(encoding="utf-8")
    DOCUMENT.write_text(with_tables(document, text), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
