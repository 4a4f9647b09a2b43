"""Keep the course of an incident in a bounded number of steps, however long it lasts."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from poolscope_exporter.core.incidents.incident import (
    CauseChange,
    Incident,
    TimelinePoint,
)
from poolscope_exporter.core.judging.diagnosis import Diagnosis

MAX_POINTS: Final = 120
"""With more points than this, two neighbours become one, and a step is twice as long."""

MAX_CHANGES: Final = 30
"""The most changes of the diagnosis: the first ones and the last ones."""

FIRST_CHANGES: Final = 10
"""The first changes, which show how the incident began; they always stay."""

_ORDER: Final = list(Diagnosis)


def with_point(incident: Incident, point: TimelinePoint) -> Incident:
    """Return the incident with one more point of its timeline."""
    points, step_s = list(incident.timeline), incident.step_s
    if points and point.at_s < points[-1].at_s + step_s:
        points[-1] = _merged(points[-1], point)
    else:
        points.append(point)
    if len(points) > MAX_POINTS:
        points, step_s = _halved(points), 2 * step_s
    return replace(incident, timeline=tuple(points), step_s=step_s)


def with_change(incident: Incident, change: CauseChange) -> Incident:
    """Return the incident with a change of its diagnosis; the oldest of the later ones give way."""
    if incident.changes and incident.changes[-1].diagnosis is change.diagnosis:
        return incident
    changes = (*incident.changes, change)
    if len(changes) <= MAX_CHANGES:
        return replace(incident, changes=changes)
    kept = (*changes[:FIRST_CHANGES], *changes[FIRST_CHANGES + 1 :])
    return replace(incident, changes=kept, changes_left_out=incident.changes_left_out + 1)


def _halved(points: Sequence[TimelinePoint]) -> list[TimelinePoint]:
    pairs = [points[at : at + 2] for at in range(0, len(points), 2)]
    return [_merged(*pair) if len(pair) > 1 else pair[0] for pair in pairs]


def _merged(one: TimelinePoint, other: TimelinePoint) -> TimelinePoint:
    """Return one point with the time of the first, and the worse of each number."""
    return TimelinePoint(
        one.at_s,
        min(one.diagnosis, other.diagnosis, key=_ORDER.index),
        used=_larger(one.used, other.used),
        limit=_larger(one.limit, other.limit),
        waiting=_larger(one.waiting, other.waiting),
    )


def _larger(one: int | None, other: int | None) -> int | None:
    return max((each for each in (one, other) if each is not None), default=None)
