"""Write the lines of series, and keep the parts that are the same in every exposition.

The official encoder takes several microseconds per line. A fleet has hundreds of thousands of
lines, so this module writes them. A test compares them, byte for byte, with the official encoder's.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from itertools import accumulate
from math import inf, isnan
from typing import Generic, TypeVar

from prometheus_client.utils import floatToGoString

from poolscope_exporter.core.model.pushes import HistogramValue

LabelText = tuple[str, str]
"""Labels in the order of the text, escaped: those before `le` and those after it."""

_EXPONENTIAL_FROM = 1e6

_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")


class TwoRoundCache(Generic[_Key, _Value]):
    """A cache that drops a value when a whole round did not use it."""

    def __init__(self) -> None:
        self._now: dict[_Key, _Value] = {}
        self._before: dict[_Key, _Value] = {}

    def get(self, key: _Key, make: Callable[[_Key], _Value]) -> _Value:
        """Return the value of the key; `make` makes it if it is missing."""
        value = self._now.get(key)
        if value is None:
            value = self._before.get(key)
            self._now[key] = value = make(key) if value is None else value
        return value

    def begin_round(self) -> None:
        """Begin a round: values that the previous round did not use are dropped."""
        self._before, self._now = self._now, {}


class SeriesText:
    """The lines of series; a template of each is kept from one exposition to the next."""

    def __init__(self) -> None:
        self._labels: TwoRoundCache[tuple[Sequence[str], tuple[str, ...]], LabelText] = (
            TwoRoundCache()
        )
        self._heads: TwoRoundCache[tuple[str, LabelText], str] = TwoRoundCache()
        self._histograms: TwoRoundCache[tuple[str, LabelText, tuple[float, ...], bool], str] = (
            TwoRoundCache()
        )

    def begin_exposition(self) -> None:
        """Begin an exposition: series that the previous one did not have are dropped."""
        for kept in (self._labels, self._heads, self._histograms):
            kept.begin_round()

    def label_text(self, names: tuple[str, ...], values: tuple[str, ...]) -> LabelText:
        """Return the labels as text; there are as many names as values."""
        return self._labels.get((names, values), _zipped)

    def sample_lines(
        self, name: str, values: Iterable[tuple[LabelText, float | HistogramValue]]
    ) -> Iterable[str]:
        """Yield the text of each series, one or more lines; `name` is that of its sample."""
        heads, histograms = self._heads.get, self._histograms.get
        for labels, value in values:
            if isinstance(value, HistogramValue):
                has_sum = not isnan(value.sum)
                template = histograms((name, labels, value.bounds, has_sum), _histogram)
                yield template % _numbers(value, has_sum=has_sum)
            else:
                yield f"{heads((name, labels), _head)}{number(value)}\n"


def label_text(labels: Mapping[str, str]) -> LabelText:
    """Return labels as text."""
    ordered = sorted(labels.items())
    return (
        ",".join(f'{name}="{_escaped(value)}"' for name, value in ordered if name < "le"),
        ",".join(f'{name}="{_escaped(value)}"' for name, value in ordered if name > "le"),
    )


def joined(*texts: str) -> str:
    """Return label texts as one."""
    return ",".join(filter(None, texts))


def number(value: float) -> str:
    """Return a value in Go's form, which differs from Python's only for large numbers."""
    if -inf < value < _EXPONENTIAL_FROM:
        return repr(float(value))
    return str(floatToGoString(value))  # type: ignore[no-untyped-call]


class _Large(float):
    """A number that may be so large that Go writes it with an exponent."""

    def __repr__(self) -> str:
        return number(self)


def _zipped(named: tuple[Sequence[str], tuple[str, ...]]) -> LabelText:
    return label_text(dict(zip(*named, strict=True)))


def _head(series: tuple[str, LabelText]) -> str:
    name, labels = series
    return f"{name}{_braced(*labels)} "


def _histogram(series: tuple[str, LabelText, tuple[float, ...], bool]) -> str:
    """Return a histogram's lines, with a placeholder for each number."""
    name, (before, after), bounds, has_sum = series
    le = [floatToGoString(bound) for bound in (*bounds, inf)]  # type: ignore[no-untyped-call]
    lines = [name + "_bucket" + _braced(before, f'le="{bound}"', after) for bound in le]
    if has_sum:  # OpenMetrics rejects a count without a sum
        lines += [name + part + _braced(before, after) for part in ("_count", "_sum")]
    return "".join(f"{line.replace('%', '%%')} %r\n" for line in lines)


def _numbers(buckets: HistogramValue, *, has_sum: bool) -> tuple[float, ...]:
    numbers = [*accumulate(map(float, buckets.counts))]
    if has_sum:
        numbers += [numbers[-1], float(buckets.sum)]
    is_large = not all(-inf < value < _EXPONENTIAL_FROM for value in numbers[-2:])
    return tuple(map(_Large, numbers)) if is_large else tuple(numbers)


def _braced(*texts: str) -> str:
    labels = joined(*texts)
    return f"{{{labels}}}" if labels else ""


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
