"""The queries of runbooks answer in the incident that they are about, in a real Prometheus."""

from collections.abc import Iterator
from functools import partial
from math import isnan
from pathlib import Path
from urllib.parse import urlsplit

from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from poolscope_generators.ports import held_port
from scenarios.followed import FOLLOWED, Followed, Incidents, followed_part, played_incidents
from support.processes.child_processes import wait_until
from support.prometheus.server import Prometheus, a_prometheus, require_prometheus, scraping
from support.runbooks.commands import fill, runbooks
from support.runbooks.filters import POOL_LABEL

SEEN_WITHIN_S = 60.0
"""A rate needs two scrapes, and on a busy machine pushes are late."""

LOOKS_FAR_BACK = " offset "
"""Compares with the past, which a program that has just started does not have."""

NOTHING_OF_THAT_KIND = {
    ("DatabaseFull", "poolscope_orphan_sessions"): "every session is that of a running process",
    ("PoolCheckoutSlow", "poolscope_connect_errors_total"): "connections open, and callers queue",
    ("PoolCheckoutSlow", "poolscope_ping_time_seconds"): "pre-ping is off",
    ("PoolConnectSlow", "db_client_connection_create_time"): "no connection has opened yet",
    ("PoolLeak", "poolscope_unproven_leaks"): "the evidence of each leak is proven",
    ("PoolSessionsEnded", "poolscope_server_changes_total"): "the server was not restarted",
    ("PoolStuck", "poolscope_blocking_checkouts_total"): "the pool is asynchronous",
}
"""Queries without an answer in the incident, which is an answer: why."""


def test_each_query_answers_in_the_incident_of_its_runbook(tmp_path: Path) -> None:
    """One test: the incidents take half a minute to begin, and a process for each of their apps."""
    require_prometheus()
    with EmbeddedPostgres(port=held_port()) as server, played_incidents(server, tmp_path) as played:
        target = {"poolscope": urlsplit(played.exporter.web).netloc}
        with a_prometheus(scraping(target), tmp_path) as prometheus:
            problems = [
                f"{followed}: {problem}"
                for followed in FOLLOWED
                for problem in not_answered(followed, played, prometheus)
            ]
            assert problems == []
            each_query_is_understood(played, prometheus)
            no_query_answers_for_another_service(played, prometheus)


def answers(prometheus: Prometheus, query: str) -> list[dict[str, str]]:
    """Return the labels of each series with a number: a ratio of nothing is none."""
    return [labels for labels, value in prometheus.query(query) if not isnan(value)]


def is_expected_to_answer(followed: Followed, query: str) -> bool:
    silent = (part for name, part in NOTHING_OF_THAT_KIND if name == followed.runbook)
    return LOOKS_FAR_BACK not in query and not any(part in query for part in silent)


def not_answered(followed: Followed, played: Incidents, prometheus: Prometheus) -> Iterator[str]:
    """Yield the queries of a runbook that do not show its incident, or show another one."""
    labels = played.labels_of(followed.pool)
    for query in followed_part(followed).queries:
        ask = partial(answers, prometheus, fill(query, labels))
        if not is_expected_to_answer(followed, query):
            if found := ask():
                yield f"{found}: {query}"
            continue
        if not wait_until(lambda ask=ask: bool(ask()), SEEN_WITHIN_S):  # type: ignore[misc]
            yield f"no answer: {query}"
        if strangers := {each.get(POOL_LABEL, followed.pool) for each in ask()} - {followed.pool}:
            yield f"{strangers}: {query}"


def each_query_is_understood(played: Incidents, prometheus: Prometheus) -> None:
    """Also where no incident is played; Prometheus answers an error with a status of its own."""
    labels = played.labels_of(FOLLOWED[0].pool)
    for query in dict.fromkeys(each for book in runbooks() for each in book.queries):
        prometheus.query(fill(query, labels))


def no_query_answers_for_another_service(played: Incidents, prometheus: Prometheus) -> None:
    for followed in FOLLOWED:
        labels = {**played.labels_of(followed.pool), "service_name": "another", "server": "other"}
        for query in followed_part(followed).queries:
            assert prometheus.query(fill(query, labels)) == [], query
