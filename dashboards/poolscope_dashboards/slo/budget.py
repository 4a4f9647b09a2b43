"""Show the error budget of each pool, from the ratios that the alerts record."""

from poolscope import catalogue as wire
from poolscope_alerts.model import Sources
from poolscope_alerts.pool_timeouts import BURNS, ratio_name
from poolscope_alerts.promql import KIND, POOL, SERVICE_POOL, by, duration, selector
from poolscope_dashboards.fleet.selection import BY_POOL, FLEET
from poolscope_dashboards.kit.charts import chart, stat
from poolscope_dashboards.kit.links import TO_POOL
from poolscope_dashboards.kit.palette import GREEN, GREY, RED
from poolscope_dashboards.kit.panel import Panel, Query, Step, Unit, limits, lines, now
from poolscope_dashboards.kit.ranking import TOP, top
from poolscope_dashboards.kit.selection import summed
from poolscope_dashboards.kit.tables import Column, Sort, table
from poolscope_dashboards.kit.variable import POOL_NAME, SERVICE_NAME
from poolscope_exporter.core.checks.thresholds import Severity, ThresholdId

_LONGEST_S = max(each.long_s for each in BURNS)
_SHORTEST_S = min(each.short_s for each in BURNS)
_FASTEST = max(each.factor for each in BURNS)
_SLOWEST = min(each.factor for each in BURNS)
_PERIOD = duration(_LONGEST_S)
_NOT_RECORDED = "no data: no traffic, not reported, or the rules of poolscope are not loaded"
_LEFT = (Step(None, GREY), Step(0.0, RED), Step(0.001, GREEN))


def panels(sources: Sources) -> tuple[Panel, ...]:
    """Return the first screen: numbers, and the table of pools."""
    return (*_numbers(sources), _pools(sources))


def burns(sources: Sources) -> tuple[Panel, ...]:
    """Return the speed at which each pool spends its budget, over each window of the alerts."""
    return tuple(
        chart(
            f"Burn over {duration(burn.long_s)}, top {TOP} pools",
            (Query(top(_burn(sources, burn.long_s), SERVICE_POOL), BY_POOL),),
            f"Share of time-outs over {duration(burn.long_s)}, divided by the allowed share "
            f"({_allowed(sources)}). 1 spends exactly the budget. From {burn.factor:g} on, here "
            f"and over {duration(burn.short_s)}, PoolTimeoutBudgetBurn fires as {burn.severity}. "
            f"The {TOP} pools with the highest values.",
            none=_NOT_RECORDED,
            steps=_line(burn.severity, burn.factor),
            roomy=burn.factor,
        )
        for burn in BURNS
    )


def _line(severity: Severity, factor: float) -> tuple[Step, ...]:
    return lines(red=factor) if severity is Severity.CRITICAL else lines(amber=factor)


def _allowed(sources: Sources) -> str:
    return f"{sources[ThresholdId.T6].limit:.1%}, T6"


def _burn(sources: Sources, window_s: float) -> str:
    """Return the share of time-outs over a window, as a multiple of the allowed share."""
    recorded = by(SERVICE_POOL, selector(ratio_name(window_s), FLEET.pools))
    return f"{recorded} / {sources[ThresholdId.T6].limit:g}"


def _left(sources: Sources) -> str:
    """Return the share of the budget that is left over the longest window; 0 if it is spent."""
    return f"clamp_min(1 - {_burn(sources, _LONGEST_S)}, 0)"


def _numbers(sources: Sources) -> tuple[Panel, ...]:
    left = _left(sources)
    return (
        stat(
            f"Lowest budget left, {_PERIOD}",
            now(f"min({left})"),
            f"The budget is {_allowed(sources)}: so many requests for a connection may time out. "
            f"This is the share left over {_PERIOD}, of the pool with the least.",
            none=_NOT_RECORDED,
            unit=Unit.SHARE,
            steps=_LEFT,
        ),
        stat(
            f"Pools without budget, {_PERIOD}",
            now(f"count({left} == 0) or 0 * count({left})"),
            f"Pools that have spent their budget of time-outs over {_PERIOD}. The table below "
            "lists them first.",
            none=_NOT_RECORDED,
            steps=limits(red=1),
        ),
        *_fastest(sources),
        *_failed(sources),
    )


def _fastest(sources: Sources) -> tuple[Panel, ...]:
    hour_s = BURNS[0].long_s
    return tuple(
        stat(
            title,
            now(f"max({_burn(sources, window_s)})"),
            f"Share of time-outs over {duration(window_s)}, divided by the allowed share, of the "
            f"pool with the fastest burn. From {_FASTEST:g} on, somebody should act now.",
            none=_NOT_RECORDED,
            steps=limits(_SLOWEST, _FASTEST),
        )
        for title, window_s in (
            (f"Fastest burn now, {duration(_SHORTEST_S)}", _SHORTEST_S),
            (f"Fastest burn, {duration(hour_s)}", hour_s),
        )
    )


def _failed(sources: Sources) -> tuple[Panel, ...]:
    return (
        stat(
            "Failed share in range",
            now(FLEET.failed_share_in_range()),
            "Share of requests for a connection that timed out or met an error, in the time range "
            "of the dashboard. The budget counts time-outs alone, this share also counts errors.",
            none="no data: no checkout was requested, or the senders do not report it",
            unit=Unit.SHARE,
            steps=limits(amber=sources[ThresholdId.T6].limit),
        ),
        stat(
            "Connect errors in range",
            now(summed(FLEET.increase(wire.CONNECT_ERRORS, per=(*POOL, KIND)))),
            "Attempts to open a connection that failed, in the time range of the dashboard. They "
            "use no budget of time-outs, although callers fail.",
            none="no data",
            is_count=True,
            steps=limits(red=1),
        ),
    )


def _pools(sources: Sources) -> Panel:
    windows = (_SHORTEST_S, *(each.long_s for each in BURNS[:2]))
    errors = FLEET.increase(wire.CONNECT_ERRORS, per=(*POOL, KIND))
    return table(
        "Error budget by pool, least left first",
        (
            Column("Service", label=SERVICE_NAME, link=TO_POOL),
            Column("Pool", label=POOL_NAME, link=TO_POOL),
            Column(
                f"Left, {_PERIOD}",
                _left(sources),
                unit=Unit.SHARE,
                steps=_LEFT,
                decimals=0,
            ),
            *(
                Column(
                    f"Burn, {duration(window_s)}",
                    _burn(sources, window_s),
                    steps=limits(_SLOWEST, _FASTEST),
                    decimals=1,
                )
                for window_s in windows
            ),
            Column(
                "Failing now",
                FLEET.failed_share(SERVICE_POOL),
                unit=Unit.SHARE,
                decimals=1,
                steps=limits(amber=sources[ThresholdId.T6].limit),
                width=100,
            ),
            Column(
                "Connect errors",
                summed(errors, SERVICE_POOL),
                steps=limits(red=1),
                decimals=0,
                width=120,
            ),
        ),
        f"One row per pool of a service; a row opens the pool. Left is the share of the budget "
        f"({_allowed(sources)}) that is left over {_PERIOD}. Burn is the share of time-outs "
        "divided by the allowed share. Failing now counts time-outs and errors. Connect errors "
        "count in the time range of the dashboard.",
        none=_NOT_RECORDED,
        sort=Sort(f"Left, {_PERIOD}", is_descending=False),
        height=10,
        hides=("service_namespace", "db_namespace", "server_address", "server_port"),
    )
