"""Ask for a dashboard's data as Grafana would: fill variables, choose intervals, send queries."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from poolscope_generators.incident.prometheus import Prometheus

FOLDER = Path(__file__).parents[3] / "dashboards"
MOST_POINTS = 400
"""A panel of some width asks for no more: Grafana's own limit is the panel's width in pixels."""

_VARIABLE = re.compile(
    r"\$\{(?P<braced>\w+)(?::(?P<how>\w+))?\}|\[\[(?P<old>\w+)\]\]|\$(?P<bare>\w+)"
)
_LABEL_VALUES = re.compile(r"label_values\((?:(?P<selector>.+),)?\s*(?P<label>\w+)\s*\)", re.S)
_QUERY_RESULT = re.compile(r"query_result\((?P<expression>.+)\)", re.S)
_SPECIAL = re.escape("\\^$*+?.()|[]{}/")

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Range:
    """What the dashboard's time picker shows (Unix seconds), and how often was scraped."""

    start: float
    end: float
    scrape_interval_s: float

    @property
    def step_s(self) -> float:
        """Return the interval of a panel: no finer than the scrapes."""
        return max(self.scrape_interval_s, (self.end - self.start) / MOST_POINTS)

    @property
    def rate_interval_s(self) -> float:
        """Return `$__rate_interval` as Grafana computes it for Prometheus."""
        return max(self.step_s + self.scrape_interval_s, 4 * self.scrape_interval_s)

    def built_in(self) -> Mapping[str, str]:
        """Return the variables that every dashboard has."""
        length_s = round(self.end - self.start)
        return {
            "__interval": f"{self.step_s:.0f}s",
            "__interval_ms": f"{self.step_s * 1000:.0f}",
            "__rate_interval": f"{self.rate_interval_s:.0f}s",
            "__range": f"{length_s}s",
            "__range_s": str(length_s),
            "__range_ms": str(length_s * 1000),
            "__from": f"{self.start * 1000:.0f}",
            "__to": f"{self.end * 1000:.0f}",
        }


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable with what it offers, and what is chosen; all of it where nobody chose."""

    name: str
    options: tuple[str, ...]
    chosen: tuple[str, ...] = ()
    all_value: str | None = None
    is_multi: bool = False

    def text(self, how: str | None) -> str:
        """Return what stands for it in a query; in matchers of several values, a regex."""
        if not self.chosen and self.all_value is not None:
            return self.all_value
        values = self.chosen or self.options
        if how == "raw" or (how is None and not self.is_multi and self.all_value is None):
            return values[0] if values else ""
        escaped = [_escape(value) for value in values]
        return escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel of a dashboard, as its JSON says."""

    dashboard: str
    spec: Json

    @property
    def title(self) -> str:
        """Return its title."""
        return str(self.spec.get("title", ""))

    @property
    def targets(self) -> Sequence[Json]:
        """Return the queries that are not hidden."""
        return [each for each in self.spec.get("targets", []) if not each.get("hide")]


@dataclass(slots=True)
class Dashboard:
    """One dashboard, with its variables asked for."""

    spec: Json
    prometheus: Prometheus
    time: Range
    chosen: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    variables: dict[str, Variable] = field(default_factory=dict)

    @property
    def uid(self) -> str:
        """Return its uid."""
        return str(self.spec["uid"])

    def ask_variables(self) -> None:
        """Fill the variables in their order: later ones use earlier ones."""
        for each in self.spec.get("templating", {}).get("list", []):
            if each["type"] == "datasource":
                continue
            self.variables[each["name"]] = Variable(
                each["name"],
                tuple(self._options(each)),
                tuple(self.chosen.get(each["name"], ())),
                _all_value(each),
                bool(each.get("multi")),
            )

    def filled(self, text: str) -> str:
        """Put the variables' values in their places; KeyError for one that does not exist."""
        built_in = self.time.built_in()

        def value(match: re.Match[str]) -> str:
            name = match["braced"] or match["old"] or match["bare"]
            if name in built_in:
                return built_in[name]
            return self.variables[name].text(match["how"])

        return _VARIABLE.sub(value, text)

    def panels(self) -> Iterator[Panel]:
        """Yield every panel, those in collapsed rows too."""
        for spec in self.spec["panels"]:
            inner = spec.get("panels", []) if spec["type"] == "row" else [spec]
            yield from (Panel(self.uid, each) for each in inner)

    def annotations(self) -> Iterator[Json]:
        """Yield the targets of what is drawn over the charts."""
        for each in self.spec.get("annotations", {}).get("list", []):
            target = each.get("target") or each
            if each.get("enable", True) and "expr" in target:
                yield target

    def ask(self, target: Json) -> list[Json]:
        """Return the series that a target gets: at the end of the range, or over it."""
        expression = self.filled(target["expr"])
        if target.get("instant") and not target.get("range"):
            return self.prometheus.instant(expression, self.time.end)
        step = self.time.step_s
        start = self.time.start - self.time.start % step  # as Grafana aligns it
        return self.prometheus.over_time(expression, start, self.time.end, step)

    def _options(self, spec: Json) -> list[str]:
        if spec["type"] != "query":
            return [str(each["value"]) for each in spec.get("options", [])]
        query = spec["query"]
        text = self.filled(query["query"] if isinstance(query, dict) else query).strip()
        if found := _LABEL_VALUES.fullmatch(text):
            selector = (found["selector"] or '{__name__!=""}').strip()
            series = self.prometheus.series(selector, self.time.start, self.time.end)
            values = {each[found["label"]] for each in series if each.get(found["label"])}
        elif found := _QUERY_RESULT.fullmatch(text):
            result = self.prometheus.instant(found["expression"], self.time.end)
            values = {str(each["metric"]) for each in result}
        else:
            raise ValueError(f"{self.uid}: ${spec['name']} asks what nobody knows: {text}")
        pattern = re.compile(str(spec.get("regex") or "").strip("/"))
        return sorted(value for value in values if pattern.search(value))


def read_dashboards(
    prometheus: Prometheus,
    time: Range,
    folder: Path = FOLDER,
    chosen: Mapping[str, tuple[str, ...]] | None = None,
) -> list[Dashboard]:
    """Return every dashboard of the folder, its variables asked for."""
    found = []
    for path in sorted(folder.glob("*.json")):
        spec = json.loads(path.read_text(encoding="utf-8"))
        found.append(Dashboard(spec, prometheus, time, chosen or {}))
        found[-1].ask_variables()
    return found


def _all_value(spec: Json) -> str | None:
    return str(spec.get("allValue") or ".*") if spec.get("includeAll") else None


def _escape(value: str) -> str:
    """Quote what a regex would take for its own, twice: it stands inside a PromQL string."""
    return re.sub(f"([{_SPECIAL}])", r"\\\\\1", value)
