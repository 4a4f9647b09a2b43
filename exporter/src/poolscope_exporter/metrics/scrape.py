"""The data of one scrape."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from prometheus_client import Metric

from poolscope_exporter.core.fleet.service_totals.route_totals import ServiceTotal
from poolscope_exporter.core.judging.situation import Situation
from poolscope_exporter.core.judging.visibility import Role
from poolscope_exporter.core.model.checkouts import Instance
from poolscope_exporter.core.model.pushes import Point
from poolscope_exporter.forwarding.queue import ForwardReport
from poolscope_exporter.polling.record import PollReport


@dataclass(frozen=True, slots=True)
class Scrape:
    """All data of one exposition, taken at one moment."""

    situation: Situation
    series: Iterable[tuple[Instance, Point]]
    routes: Iterable[ServiceTotal]
    held_time: Iterable[ServiceTotal]
    polls: Iterable[PollReport]
    requests: Mapping[str, int]
    refused: Mapping[str, int]
    refuted: Iterable[ServiceTotal] = ()
    occupancy: Iterable[ServiceTotal] = ()
    bouncer_polls: Iterable[PollReport] = ()
    resolutions: Iterable[tuple[str, str, int]] = ()
    role: Role = Role.STANDALONE
    forwarding: ForwardReport | None = None
    closed: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    process: Iterable[Metric] = ()
    scrapes_refused: int = 0
    output_lost: Mapping[str, int] = field(default_factory=dict)
    state_failures: int | None = None
    ignored: Mapping[str, int] = field(default_factory=dict)
