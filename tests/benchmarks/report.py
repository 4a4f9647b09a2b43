"""Print what was measured as tables, and hold it against the budgets."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import hypot

from benchmarks.loop_watch import IdleCost
from benchmarks.method import Cost

Row = Mapping[str, Cost | str]
"""By variant: its cost, or why there is none."""

LISTENERS_BUDGET = 2.5
"""Times what two no-op listeners add."""

SYNC_BUDGET, ASYNC_BUDGET = 1.04, 1.03
LOOP_WATCH_BUDGET_US = 100.0
"""CPU per second and event loop."""

CONNECTION_BUDGET, POOL_BUDGET = 2 * 1024, 64 * 1024


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes that ours takes."""

    per_connection: float
    per_pool: float


def costs_table(rows: Mapping[str, Row], variants: Sequence[str]) -> Iterator[str]:
    """Return lines of Markdown: what each variant adds to each case."""
    yield f"| one checkout and return | bare | {' | '.join(variants)} |"
    yield f"|---|---:|{'---:|' * len(variants)}"
    for case, row in rows.items():
        bare = next(cost.bare_us for cost in row.values() if isinstance(cost, Cost))
        cells = [_cell(row.get(variant, "not measured")) for variant in variants]
        yield f"| {case} | {bare:.1f} µs | {' | '.join(cells)} |"


def _cell(cost: Cost | str) -> str:
    if isinstance(cost, str):
        return cost
    return f"{cost.added_us:+.1f} µs ({cost.ratio:.2f} x)"


def budgets_table(rows: Mapping[str, Row], memory: Memory) -> Iterator[str]:
    """Return lines of Markdown: each budget of the design, and whether it is kept.

    Where the measurement is not exact enough to tell, that is said instead.
    """
    yield "| what | budget | measured | |"
    yield "|---|---|---|---|"
    for case, row in rows.items():
        ours, control = row.get("poolscope"), row.get("control")
        if isinstance(ours, Cost) and isinstance(control, Cost):
            yield from _cost_budget(case, ours, control, row.get("two no-op listeners"))
    for what, limit_bytes, measured in (
        ("memory per connection", CONNECTION_BUDGET, memory.per_connection),
        ("memory per pool, with one connection", POOL_BUDGET, memory.per_pool),
    ):
        verdict = _verdict(measured, 0.0, limit_bytes)
        yield f"| {what} | ≤ {limit_bytes // 1024} KiB | {measured / 1024:.1f} KiB | {verdict} |"


def idle_table(rows: Mapping[str, IdleCost]) -> Iterator[str]:
    """Return lines of Markdown: the CPU of an idle process, and what of it the loop watch needs."""
    yield (
        "| CPU per second of an idle process | bare | poolscope without the loop watch | poolscope "
        f"| loop watch, budget ≤ {LOOP_WATCH_BUDGET_US:.0f} µs | |"
    )
    yield "|---|---:|---:|---:|---:|---|"
    for event_loop, cost in rows.items():
        totals = (cost.bare_us, cost.unwatched_us, cost.watched_us)
        cells = " | ".join(f"{each:.0f} µs" for each in totals)
        added = f"{cost.added_us:.0f} ± {cost.added_error_us:.0f} µs"
        verdict = _verdict(cost.added_us, cost.added_error_us, LOOP_WATCH_BUDGET_US)
        yield f"| {event_loop} | {cells} | {added} | {verdict} |"


def _cost_budget(
    case: str, ours: Cost, control: Cost, listeners: Cost | str | None
) -> Iterator[str]:
    limit = _ratio_budget(case)
    if limit is not None:
        # What bare differs from bare is no less an error than the spread of the rounds.
        error = max(ours.ratio_error, abs(control.ratio - 1))
        said = f"{ours.ratio - 1:.1%} ± {error:.1%}"
        verdict = _verdict(ours.ratio, error, limit)
        yield f"| {case} | ≤ {limit - 1:.0%} more | {said} | {verdict} |"
    elif case.startswith("no-op") and isinstance(listeners, Cost):
        times = ours.added_us / listeners.added_us
        parts = [
            max(c.added_error_us, abs(control.added_us)) / c.added_us for c in (ours, listeners)
        ]
        error = times * hypot(*parts)
        verdict = _verdict(times, error, LISTENERS_BUDGET)
        limit_said = f"≤ {LISTENERS_BUDGET} times two no-op listeners"
        yield f"| {case} | {limit_said} | {times:.2f} ± {error:.2f} times | {verdict} |"


def _verdict(measured: float, error: float, limit: float) -> str:
    if measured + error <= limit:
        return "within"
    return "**over**" if measured - error > limit else "too noisy to tell"


def _ratio_budget(case: str) -> float | None:
    """Return the budget of work on PostgreSQL; none for what only the pool does."""
    if case in ("psycopg, SELECT 1", "psycopg_pool, SELECT 1"):
        return SYNC_BUDGET
    if "async" in case.lower() or case.startswith("FastAPI"):
        return ASYNC_BUDGET
    return None
