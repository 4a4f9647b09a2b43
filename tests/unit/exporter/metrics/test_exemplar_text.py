"""Exemplars in OpenMetrics, as its official parser reads them; Prometheus's text has none."""

from prometheus_client import Metric
from prometheus_client.samples import Exemplar as ReadExemplar

from poolscope import catalogue
from poolscope_exporter.core.model.exemplars import Exemplar
from poolscope_exporter.core.model.pushes import HistogramValue, Point
from poolscope_exporter.metrics.app_series import SeriesLabels
from poolscope_exporter.metrics.families import Families, FamilyText
from poolscope_exporter.metrics.text_format import SeriesText
from support.exporter.builders import a_point, a_pool, an_instance
from support.prometheus.openmetrics import read_openmetrics

TRACE, SPAN = bytes(range(16)), bytes(range(8))
LABELS = {"trace_id": TRACE.hex(), "span_id": SPAN.hex()}
SLOW, SLOWER = Exemplar(0.7, 1_500_000_000, TRACE, SPAN), Exemplar(31.0, 0, TRACE, SPAN)
BOUNDS = catalogue.WAIT_BOUNDS


def a_histogram(*exemplars: Exemplar, pool: str = "orders") -> Point:
    counts = (1,) * (len(BOUNDS) + 1)
    value = HistogramValue(BOUNDS, counts, 40.0, exemplars)
    return a_point(catalogue.WAIT_TIME, value, pool=a_pool(name=pool))


def families_of(*points: Point) -> list[FamilyText]:
    families = Families(SeriesText())
    SeriesLabels().add_series(families, [(an_instance(), point) for point in points])
    return list(families.family_texts())


def read(*points: Point) -> list[Metric]:
    body = b"".join(family.as_openmetrics() for family in families_of(*points)) + b"# EOF\n"
    return read_openmetrics(body.decode())


def exemplars_in(*points: Point) -> dict[tuple[str, str], ReadExemplar]:
    return {
        (sample.labels["db_client_connection_pool_name"], sample.labels["le"]): sample.exemplar
        for metric in read(*points)
        for sample in metric.samples
        if sample.exemplar
    }


def test_an_exemplar_is_on_the_line_of_its_bucket() -> None:
    found = exemplars_in(a_histogram(SLOW, SLOWER))
    assert found == {
        ("orders", "1.0"): ReadExemplar(LABELS, 0.7, found["orders", "1.0"].timestamp),
        ("orders", "+Inf"): ReadExemplar(LABELS, 31.0, None),
    }
    assert float(found["orders", "1.0"].timestamp or 0) == 1.5


def test_each_series_has_its_exemplars_and_those_without_are_as_before() -> None:
    points = (a_histogram(pool="a"), a_histogram(SLOW, pool="käse"), a_histogram(SLOWER, pool="c"))
    assert set(exemplars_in(*points)) == {("käse", "1.0"), ("c", "+Inf")}
    values = [[s.value for s in metric.samples] for metric in read(*points)]
    bare = [a_histogram(pool=name) for name in ("a", "käse", "c")]
    assert values == [[s.value for s in metric.samples] for metric in read(*bare)]


def test_the_text_of_prometheus_has_no_exemplar() -> None:
    with_exemplars, without = families_of(a_histogram(SLOW)), families_of(a_histogram())
    texts = [[each.as_text() for each in found] for found in (with_exemplars, without)]
    assert texts[0] == texts[1]
