"""Whatever a stranger calls its metrics, no line of another process changes."""

import asyncio
from functools import cache
from itertools import chain

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as prometheus_text

from poolscope import catalogue
from poolscope.catalogue import Kind
from poolscope_exporter.core.admission.points import Refusal, admit
from poolscope_exporter.core.judging.situation import Situation
from poolscope_exporter.core.model.pushes import HistogramValue, Point
from poolscope_exporter.metrics.exposition import Exposition
from poolscope_exporter.metrics.scrape import Scrape
from support.exporter.builders import a_point, an_instance, pool_points

STRANGER, MINE = an_instance("stranger", "stranger"), an_instance("mine")
OPENMETRICS = "application/openmetrics-text; version=1.0.0"
BUCKETS = HistogramValue((0.1, 1.0), (1, 2, 3), 4.5)
SERIES_OF_MINE = [
    *pool_points(),
    *(
        a_point(metric, BUCKETS if metric.kind is Kind.HISTOGRAM else 1)
        for metric in catalogue.METRICS
        if metric.scope == catalogue.SCOPE
    ),
]

WORDS = sorted(
    {
        *chain.from_iterable(
            metric.name.replace("_", ".").split(".") for metric in catalogue.METRICS
        ),
        *("bucket", "sum", "count", "total", "created", "info", "gcount", "gsum", "seconds"),
        *("le", "ratio", "milliseconds", "x", "1"),
    }
)
names = st.lists(st.sampled_from(WORDS), max_size=4).flatmap(
    lambda words: st.sampled_from([".", "_", "-", ".."]).map(
        lambda between: "db.client.connection." + between.join(words)
    )
)
units = st.sampled_from(["", "1", "s", "ms", "{connection}", "By", "1/s", "{a}/s"])


def exposed(points: list[Point], accept: str) -> str:
    """Return the exposition of my process, with a stranger that comes before it."""
    series = [(STRANGER, point) for point in points]
    series += [(MINE, point) for point in map(admit, SERIES_OF_MINE) if isinstance(point, Point)]
    scrape = Scrape(
        situation=Situation((), (), (), (), 100.0),
        series=series,
        routes=(),
        held_time=(),
        polls=(),
        requests={},
        refused={},
    )
    parts, _ = asyncio.run(Exposition(lambda: scrape).render(accept))
    return b"".join(parts).decode()


@cache
def exposed_alone(accept: str) -> str:
    return exposed([], accept)


def lines_of_mine(text: str) -> list[str]:
    return sorted(line for line in text.splitlines() if 'service_instance_id="mine"' in line)


@settings(max_examples=40)
@given(name=names, kind=st.sampled_from(Kind), unit=units)
@example("db.client.connection.wait.time", Kind.GAUGE, "s")
@example("db.client.connection.pending.requests", Kind.HISTOGRAM, "")
@example("db.client.connection.x.sum", Kind.GAUGE, "")
@example("db.client.connection.wait.time.seconds.bucket", Kind.GAUGE, "")
@example("db.client.connection.timeouts.total", Kind.GAUGE, "")
def test_no_line_of_mine_changes_and_parsers_read_all(name: str, kind: Kind, unit: str) -> None:
    value = BUCKETS if kind is Kind.HISTOGRAM else 1.0
    kept = admit(Point(name, kind, unit, {}, value))
    told = [kept] if isinstance(kept, Point) else []
    for accept, parse in ((OPENMETRICS, openmetrics), ("", prometheus_text)):
        text, alone = exposed(told, accept), exposed_alone(accept)
        assert lines_of_mine(text) == lines_of_mine(alone)
        assert len(list(parse(text))) == len(list(parse(alone))) + _is_new(kept)


def _is_new(kept: Point | Refusal) -> bool:
    return isinstance(kept, Point) and all(
        kept.metric != metric.name for metric in catalogue.METRICS
    )


@pytest.mark.parametrize(
    ("name", "kind", "unit"),
    [
        ("db.client.connection.wait.time", Kind.GAUGE, "s"),
        ("db.client.connection.pending.requests", Kind.HISTOGRAM, "{request}"),
        ("db.client.connection.wait_time.seconds.count", Kind.GAUGE, ""),
        ("db.client.connection.novelty.bucket", Kind.GAUGE, ""),
        ("db.client.connection.novelty.created", Kind.UP_DOWN_COUNTER, ""),
    ],
)
def test_a_name_that_translates_to_one_of_ours_is_refused(name: str, kind: Kind, unit: str) -> None:
    value = BUCKETS if kind is Kind.HISTOGRAM else 1.0
    assert admit(Point(name, kind, unit, {}, value)) is Refusal.RESERVED_NAME
