"""What the live pages show of the recorded incident, at any instant of it.

The record has series, so no line that keeps a connection, no backend and no age of a checkout. The
sentences and ages are made from the numbers, and what is not recorded is unknown.
"""

import gzip
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

from poolscope.catalogue import Evidence
from poolscope_exporter.core.capacity.headroom import Headroom, Limit
from poolscope_exporter.core.fleet.pool_numbers import PoolNumbers
from poolscope_exporter.core.judging.diagnosis import Diagnosis, PoolDiagnosis
from poolscope_exporter.core.judging.overview.last_words import LastWords
from poolscope_exporter.core.judging.overview.pool_history import SLOT_S, SLOTS, PoolHistory
from poolscope_exporter.core.judging.overview.service_pools import group_by_service
from poolscope_exporter.core.judging.situation import PoolAssessment, Situation
from poolscope_exporter.core.judging.verdicts import Judgement, Verdict
from poolscope_exporter.core.judging.views import ServerView
from poolscope_exporter.core.linking.link import NoLink, Unlinked
from poolscope_exporter.core.model.checkouts import Checkout, Instance, Pool
from poolscope_exporter.web.console.look import Look
from poolscope_generators.incident.recording import SAMPLES
from support.exporter.processes import an_instance_state

WANTED: Final = (
    "poolscope_pool_diagnosis",
    "poolscope_held_checkouts",
    "poolscope_instance_info",
    "poolscope_server_headroom",
    "poolscope_server_connections_limit",
    "poolscope_server_up",
    "db_client_connection_count",
    "db_client_connection_max",
    "db_client_connection_pending_requests",
)
SCRAPE_S: Final = 5.0
_SAMPLE: Final = re.compile(r"(\w+)\{(.*)\} (\S+) (\S+)")
_LABEL: Final = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True, slots=True)
class RecordedSample:
    """One value of one series at a scrape."""

    name: str
    labels: Mapping[str, str]
    value: float


@cache
def scrapes() -> Mapping[float, list[RecordedSample]]:
    """Return the samples by the time of their scrape."""
    found: dict[float, list[RecordedSample]] = {}
    with gzip.open(SAMPLES, "rt") as lines:
        for line in lines:
            if line.startswith(WANTED) and (match := _SAMPLE.match(line)):
                name, labels, value, at = match.groups()
                sample = RecordedSample(name, dict(_LABEL.findall(labels)), float(value))
                found.setdefault(float(at) // SCRAPE_S * SCRAPE_S, []).append(sample)
    return dict(sorted(found.items()))


def look_at(instant_s: float) -> Look:
    """Return what the pages show at an instant, with the strips of the time before."""
    history, words = PoolHistory(), LastWords()
    since: dict[Pool, tuple[Diagnosis, float]] = {}
    situation = Situation((), (), (), (), instant_s)
    for at_s, samples in scrapes().items():
        if at_s > instant_s:
            break
        situation = _situation(samples, since, at_s)
        if at_s > instant_s - SLOTS * SLOT_S:
            history.record_states(group_by_service(situation.pools), at_s)
            words.record_processes(situation)
    strips = history.strips(situation.taken_at_s)
    return Look(situation, "2026-11-21T17:00:00+00:00", strips, words.silence())


def _situation(
    samples: list[RecordedSample], since: dict[Pool, tuple[Diagnosis, float]], at_s: float
) -> Situation:
    numbers: dict[Pool, dict[str, int]] = {}
    diagnoses: dict[Pool, Diagnosis] = {}
    for each in samples:
        if each.name.startswith("db_client"):
            state = each.labels.get("db_client_connection_state")
            name = state or {"db_client_connection_max": "max"}.get(each.name, "pending")
            numbers.setdefault(_pool(each.labels), {})[name] = round(each.value)
        elif each.name == "poolscope_pool_diagnosis" and each.value:
            diagnoses[_pool(each.labels)] = Diagnosis(each.labels["diagnosis"])
    pools = []
    for pool, diagnosis in sorted(diagnoses.items()):
        known = since.get(pool)
        if known is None or known[0] is not diagnosis:
            known = since[pool] = (diagnosis, at_s)
        found = PoolNumbers(**numbers.get(pool, {}))  # type: ignore[arg-type]
        reasons = [f"{found.used} of {found.max} connections are in use"]
        if found.pending:
            reasons.append(f"{found.pending} callers wait for a connection")
        diagnosed = PoolDiagnosis(diagnosis, tuple(reasons), since_s=at_s - known[1])
        pools.append(PoolAssessment(pool, found, diagnosed, server="shop-db"))
    instances = tuple(
        an_instance_state({"k8s.pod.name": each.labels["k8s_pod_name"]}, _instance(each.labels))
        for each in samples
        if each.name == "poolscope_instance_info"
    )
    return Situation(tuple(_held(samples)), tuple(pools), _servers(samples), instances, at_s)


def _held(samples: list[RecordedSample]) -> Iterator[Judgement]:
    number = 0
    for each in samples:
        if each.name == "poolscope_held_checkouts":
            for _ in range(round(each.value)):
                number += 1
                labels = each.labels
                evidence = Evidence(labels["evidence"]) if labels.get("evidence") else None
                checkout = Checkout(
                    _pool(labels), number, 5.0, route=labels.get("http_route") or None
                )
                link = NoLink(Unlinked.NOT_SAMPLED, "shop-db")
                verdict = Verdict(labels["verdict"])
                yield Judgement(checkout, 5.0, verdict, None, evidence, link, confirmed=True)


def _servers(samples: list[RecordedSample]) -> tuple[ServerView, ...]:
    values = {each.name: each.value for each in samples if each.labels.get("server") == "shop-db"}
    free = values.get("poolscope_server_headroom")
    limit = values.get("poolscope_server_connections_limit")
    is_up = values.get("poolscope_server_up") == 1
    headroom = None
    if free is not None and limit is not None:
        bound = Limit("server", "", round(limit), round(limit - free))
        headroom = Headroom("server", "", bound.free, bound.limit, bound.used, (bound,))
    return (ServerView("shop-db", up=is_up, headroom=headroom),)


def _pool(labels: Mapping[str, str]) -> Pool:
    return Pool(
        _instance(labels),
        labels["db_client_connection_pool_name"],
        labels["db_namespace"],
        labels["server_address"],
        int(labels["server_port"]),
    )


def _instance(labels: Mapping[str, str]) -> Instance:
    return Instance(
        labels["service_namespace"], labels["service_name"], labels["service_instance_id"]
    )
