"""Build one line for each pool, process or service: the rows of the start page, for a terminal."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from poolscope_exporter.core.judging.overview.service_pools import (
    OverviewNumbers,
    PoolName,
    ServicePoolState,
    group_by_service,
    overview_numbers,
    pool_sums,
    verdicts_by_pool,
)
from poolscope_exporter.core.judging.overview.worst_first import DIAGNOSES, order_pools
from poolscope_exporter.core.judging.verdicts import Judgement, Verdict
from poolscope_exporter.terminal.cells import (
    BAD,
    TextCell,
    duration_cell,
    known,
    number_cell,
    rate_cell,
    text_cell,
    word_cell,
)
from poolscope_exporter.terminal.states import PoolsReading
from poolscope_exporter.terminal.trend import used_share
from poolscope_exporter.web.console.page_query import PageQuery


class PoolColumn(StrEnum):
    """A column of the table of pools; its value is its title."""

    POOL = "service / pool"
    DIAGNOSIS = "diagnosis"
    SINCE = "since"
    USED = "used"
    IDLE = "idle"
    OVERFLOW = "overflow"
    WAITING = "waiting"
    LEAKED = "leaked"
    FAILURES = "failures/min"
    TREND = "last minute"
    WHY = "why"


class PoolGrouping(StrEnum):
    """The unit of one line."""

    POOL = "pool"
    PROCESS = "process"
    SERVICE = "service"


class PoolOrder(StrEnum):
    """The order of the lines; the value completes "sorted by"."""

    WORST = "worst first"
    USED = "used share"
    WAITING = "waiting callers"
    LEAKED = "leaked connections"
    FAILURES = "failures"
    AGE = "age of the diagnosis"
    NAME = "name"


ORDER_OF_COLUMN: Final[Mapping[PoolColumn, PoolOrder]] = {
    PoolColumn.POOL: PoolOrder.NAME,
    PoolColumn.DIAGNOSIS: PoolOrder.WORST,
    PoolColumn.SINCE: PoolOrder.AGE,
    PoolColumn.USED: PoolOrder.USED,
    PoolColumn.WAITING: PoolOrder.WAITING,
    PoolColumn.LEAKED: PoolOrder.LEAKED,
    PoolColumn.FAILURES: PoolOrder.FAILURES,
}

_NUMBER_OF: Final[Mapping[PoolOrder, Callable[[ServicePoolState], float | None]]] = {
    PoolOrder.USED: lambda state: used_share(state.sums),
    PoolOrder.WAITING: lambda state: state.sums.waiting,
    PoolOrder.LEAKED: lambda state: state.leaked,
    PoolOrder.FAILURES: lambda state: state.sums.failures_per_minute,
    PoolOrder.AGE: lambda state: state.since_s,
}


@dataclass(frozen=True, slots=True)
class PoolChoice:
    """The conditions on the lines, their unit and their order."""

    verdict: str | None = None
    text: str = ""
    grouping: PoolGrouping = PoolGrouping.POOL
    order: PoolOrder = PoolOrder.WORST


@dataclass(frozen=True, slots=True)
class PoolLine:
    """One line: its identity from one reading to the next, its title, and the state that it shows.

    The states of single pools behind it are `pools`: several for a service.
    """

    key: str
    title: str
    state: ServicePoolState
    pools: tuple[ServicePoolState, ...]


def pool_states(reading: PoolsReading, choice: PoolChoice) -> list[ServicePoolState]:
    """Return the pools that match, the worst first, as the start page has them."""
    return PageQuery(verdict=choice.verdict, q=choice.text or None).matching_states(
        group_by_service(reading.pools, reading.judgements),
        reading.names,
        verdicts_by_pool(reading.judgements),
    )


def pool_lines(reading: PoolsReading, choice: PoolChoice) -> list[PoolLine]:
    """Return the lines in the chosen unit and order."""
    states = pool_states(reading, choice)
    if choice.grouping is PoolGrouping.PROCESS:
        lines = _of_processes(states, reading)
    elif choice.grouping is PoolGrouping.SERVICE:
        lines = _of_services(states)
    else:
        lines = [_line(each, pool_title(each.name), *each.name) for each in states]
    return _ordered(lines, choice.order)


def pool_numbers(reading: PoolsReading) -> OverviewNumbers:
    """Return the numbers of all pools together, as the start page has them."""
    return overview_numbers(group_by_service(reading.pools, reading.judgements))


def pool_title(name: PoolName) -> str:
    """Return the name of a pool with its service."""
    namespace = f"{name.namespace}/" if name.namespace else ""
    return f"{namespace}{name.service} / {name.pool}"


def pool_cells(line: PoolLine, trend: str = "") -> Mapping[PoolColumn, TextCell]:
    """Return the cells of a line by column."""
    state = line.state
    sums, found = state.sums, state.worst
    probable = " (probable)" if found.is_probable else ""
    diagnosis = word_cell(found.diagnosis)
    return {
        PoolColumn.POOL: text_cell(line.title),
        PoolColumn.DIAGNOSIS: TextCell(diagnosis.text + probable, diagnosis.style),
        PoolColumn.SINCE: duration_cell(state.since_s),
        PoolColumn.USED: TextCell(f"{known(sums.used)} of {known(sums.limit)}", is_number=True),
        PoolColumn.IDLE: number_cell(sums.idle),
        PoolColumn.OVERFLOW: number_cell(sums.overflow),
        PoolColumn.WAITING: number_cell(sums.waiting, is_alarm=True),
        PoolColumn.LEAKED: number_cell(state.leaked, is_alarm=True),
        PoolColumn.FAILURES: rate_cell(sums.failures_per_minute),
        PoolColumn.TREND: TextCell(trend, BAD if sums.waiting else ""),
        PoolColumn.WHY: text_cell(next(iter(found.reasons), "")),
    }


def present_words(reading: PoolsReading) -> list[str]:
    """Return the diagnoses and verdicts that a filter can select now."""
    diagnoses = (each.diagnosis.diagnosis for each in reading.pools)
    verdicts = (each.verdict for each in reading.judgements)
    return sorted({str(each) for each in (*diagnoses, *verdicts)})


def _line(
    state: ServicePoolState, title: str, *identity: str, pools: Sequence[ServicePoolState] = ()
) -> PoolLine:
    return PoolLine("\0".join(identity), title, state, tuple(pools) or (state,))


def _of_processes(states: Iterable[ServicePoolState], reading: PoolsReading) -> list[PoolLine]:
    leaked = Counter(
        each.checkout.pool for each in reading.judgements if each.verdict is Verdict.LEAKED
    )
    lines = []
    for state in states:
        for each in state.processes:
            instance = each.pool.instance
            process = reading.names.get(instance, instance.id)
            single = ServicePoolState(state.name, (each,), pool_sums([each]), leaked[each.pool])
            title = f"{pool_title(state.name)} / {process}"
            lines.append(_line(single, title, *state.name, repr(each.pool)))
    return sorted(lines, key=lambda line: _badness(line.state))


def _badness(state: ServicePoolState) -> tuple[int, int]:
    return DIAGNOSES.index(state.worst.diagnosis), -(state.sums.waiting or 0)


def _of_services(states: Sequence[ServicePoolState]) -> list[PoolLine]:
    """Return one line per service; the name of its pool is that of all its pools together."""
    found: dict[tuple[str, str], list[ServicePoolState]] = {}
    for each in states:
        found.setdefault((each.name.namespace, each.name.service), []).append(each)
    return [_of_service(pools) for pools in found.values()]


def _of_service(pools: Sequence[ServicePoolState]) -> PoolLine:
    name = pools[0].name
    together = name._replace(pool=name.pool if len(pools) == 1 else f"{len(pools)} pools")
    processes = order_pools(process for each in pools for process in each.processes)
    leaked = sum(each.leaked for each in pools)
    state = ServicePoolState(together, tuple(processes), pool_sums(processes), leaked)
    return _line(state, pool_title(together), name.namespace, name.service, pools=pools)


def _ordered(lines: list[PoolLine], order: PoolOrder) -> list[PoolLine]:
    """Return the lines in this order; equal ones stay the worst first, unknown ones come last."""
    if order is PoolOrder.NAME:
        return sorted(lines, key=lambda line: line.title.casefold())
    number = _NUMBER_OF.get(order)
    if number is None:
        return lines
    return sorted(lines, key=lambda line: _falling(number(line.state)))


def _falling(number: float | None) -> tuple[bool, float]:
    return number is None, -(number or 0.0)


def held_of(reading: PoolsReading, line: PoolLine) -> list[Judgement]:
    """Return the held checkouts of a line: those of its processes."""
    wanted = {process.pool for process in line.state.processes}
    return [each for each in reading.judgements if each.checkout.pool in wanted]
