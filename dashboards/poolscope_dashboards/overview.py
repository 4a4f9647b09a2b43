"""Build the dashboard on the fleet: which pool is in trouble, in one word, and why."""

from poolscope import catalogue as wire
from poolscope_alerts.model import Component, Sources
from poolscope_alerts.promql import POOL, SERVICE_POOL, by, selector
from poolscope_dashboards.kit.alert_annotations import firing
from poolscope_dashboards.kit.board import Board, Section
from poolscope_dashboards.kit.charts import chart, stat, text, timeline
from poolscope_dashboards.kit.glossary import GLOSSARY
from poolscope_dashboards.kit.palette import (
    AMBER,
    GREEN,
    GREY,
    diagnosis_meanings,
    diagnosis_words,
    is_up,
)
from poolscope_dashboards.kit.panel import Panel, Query, Step, Unit, limits, lines, now, plain, room
from poolscope_dashboards.kit.selection import NOT_WELL, OF_EXPORTER, Selection, per_server, summed
from poolscope_dashboards.kit.tables import Column, Sort, table
from poolscope_dashboards.kit.variable import EXPORTERS, POOL_NAME, SERVICE_NAME, SERVICES
from poolscope_dashboards.pool.configuration import check_titles
from poolscope_exporter.core import own_metrics as own
from poolscope_exporter.core.checks.model import Result
from poolscope_exporter.core.checks.thresholds import ThresholdId
from poolscope_exporter.core.judging.diagnosis import Diagnosis
from poolscope_exporter.core.judging.verdicts import Verdict

_ALL = Selection(f'{SERVICE_NAME}=~"$service"')
_LEGEND = f"{{{{{SERVICE_NAME}}}}} / {{{{{POOL_NAME}}}}}"
_TO_POOL = (
    f"/d/poolscope-pool?var-service=${{__data.fields.{SERVICE_NAME}}}"
    f"&var-pool=${{__data.fields.{POOL_NAME}}}&var-datasource=${{datasource}}&${{__url_time_range}}"
)
_TO_SERVER = (
    "/d/poolscope-server?var-server=${__data.fields.server}"
    "&var-datasource=${datasource}&${__url_time_range}"
)
_NO_POOLS = "no data: no application publishes a pool (see Exporter)"
_NO_VERDICTS = "no data: no exporter judges a pool (see Exporter)"
_NO_SERVERS = "no data: no exporter asks a server (see Exporter)"


def overview(sources: Sources) -> Board:
    """Return the dashboard that is opened first."""
    return Board(
        uid="poolscope-overview",
        description=(
            "Which connection pool is in trouble, in one word, and why. The worst is on top; a "
            "row opens the pool. Grey is what is not known: it is never a sign of health."
        ),
        variables=(*EXPORTERS, SERVICES),
        sections=(
            Section("", (*_numbers(), _pools(sources), _history())),
            Section("How close to the edge", _edges(sources)),
            Section("Servers and settings", (_servers(sources), _settings(sources))),
            Section("What the words mean", (_help(),), is_open=False),
        ),
        alerts=firing(sources, tuple(Component)),
    )


def _count_of(diagnoses: str) -> str:
    worst = by(SERVICE_POOL, _ALL.judged(own.POOL_DIAGNOSIS, diagnoses))
    return f"count({worst} == 1) or {_ALL.nothing(())}"


def _numbers() -> tuple[Panel, ...]:
    return (
        stat(
            "Pools in trouble",
            now(_count_of(NOT_WELL)),
            "Pools of which at least one process has a diagnosis other than healthy or unknown. "
            "Above 0: the table below names them, the worst first.",
            none="no data",
            steps=limits(red=1),
        ),
        stat(
            "Pools not known",
            now(_count_of(f'diagnosis="{Diagnosis.UNKNOWN}"')),
            "Pools of which at least one process cannot be judged: no numbers, or sessions that "
            "the exporter may not see. Unknown is not healthy: Exporter and Server say why.",
            none="no data",
            steps=(Step(None, GREY), Step(0, GREEN), Step(1, GREY)),
        ),
        stat(
            "Waiting now",
            now(_ALL.total(wire.PENDING_REQUESTS)),
            "Callers that are blocked at this moment because their pool has no connection to "
            "give. Above 0 users wait: the column Waiting says in which pool.",
            none="no data",
            steps=limits(amber=1),
        ),
        stat(
            "Leaked now",
            now(f"sum({_ALL.held(Verdict.LEAKED, POOL)})"),
            "Connections that are out and that nobody is left to return, by evidence (T4). Each is "
            "missing until its process ends: open the pool for route and line.",
            none="no data",
            steps=limits(red=1),
        ),
        stat(
            "Time-outs",
            now(summed(_ALL.increase(wire.TIMEOUTS))),
            "Callers that gave up waiting for a connection, in the time range above: failed "
            "requests, as a rule (T6).",
            none="no data",
            is_count=True,
            steps=limits(red=1),
        ),
        stat(
            "Processes heard",
            now(f"count({by(POOL[:3], _ALL.judged_process(own.INSTANCE_LAST_PUSH_AGE))})"),
            "Application processes that push to the exporters. Fewer than run: somebody is not "
            "seen, and nothing here speaks of them.",
            none="none",
        ),
    )


def _pools(sources: Sources) -> Panel:
    near, full = _edge(sources)
    slow = sources[ThresholdId.T1].limit
    some, one = limits(amber=1), limits(red=1)
    return table(
        "Which pool is in trouble, and why?",
        (
            Column(
                "Diagnosis",
                _ALL.diagnosis(SERVICE_POOL),
                mappings=diagnosis_words(),
                width=120,
                is_painted=True,
            ),
            Column("Service", label=SERVICE_NAME, link=_TO_POOL),
            Column("Pool", label=POOL_NAME, link=_TO_POOL),
            Column(
                "What it means",
                _ALL.diagnosis(SERVICE_POOL),
                mappings=diagnosis_meanings(),
                width=260,
            ),
            Column(
                "Processes", by(SERVICE_POOL, _ALL.gauge(wire.PENDING_REQUESTS), "count"), width=80
            ),
            Column("Used", _ALL.used(SERVICE_POOL), width=60),
            Column("Limit", _ALL.total(wire.MAX, labels=SERVICE_POOL), width=60),
            Column(
                "Fullest",
                _ALL.fullness(SERVICE_POOL),
                unit=Unit.SHARE,
                steps=limits(near, full),
                decimals=0,
                width=70,
            ),
            Column(
                "Waiting",
                _ALL.total(wire.PENDING_REQUESTS, labels=SERVICE_POOL),
                steps=some,
                width=70,
            ),
            Column(
                "Time-outs",
                summed(_ALL.increase(wire.TIMEOUTS), SERVICE_POOL),
                steps=one,
                decimals=0,
            ),
            Column("Leaked", _ALL.held(Verdict.LEAKED, SERVICE_POOL), steps=one, width=70),
            Column("Blocked", _ALL.held(Verdict.BLOCKED, SERVICE_POOL), steps=some, width=70),
            Column("Slow", _ALL.held(Verdict.SLOW_QUERY, SERVICE_POOL), steps=some, width=60),
            Column("Idle", _ALL.held(_IDLE, SERVICE_POOL), steps=some, width=60),
            Column(
                "Wait long",
                _ALL.slow_share(slow, SERVICE_POOL),
                unit=Unit.SHARE,
                steps=limits(amber=sources.tuning.slow_share),
                decimals=0,
                width=85,
            ),
        ),
        "One row per pool of a service, the worst first; a row opens the pool. Fullest is the "
        f"process with the largest share of its connections out (T2: {full:.0%}), Idle are "
        "connections that are held without use, Wait long is the share of callers that waited "
        f"longer than {slow:g} s (T1), or in vain. A dash is what nobody tells: not 0, and not "
        "healthy.",
        none=_NO_POOLS,
        sort=Sort("Diagnosis"),
        height=9,
        hides=("service_namespace", "db_namespace", "server_address", "server_port"),
    )


_IDLE = f"{Verdict.IDLE_IN_TRANSACTION}|{Verdict.HELD_IDLE}|{Verdict.STALLED}"


def _history() -> Panel:
    return timeline(
        "What was the matter, and since when?",
        Query(_ALL.diagnosis(SERVICE_POOL), _LEGEND),
        "The worst diagnosis of any process of a pool, over time. Where a band begins is where to "
        "look for what was changed. No band: no exporter judged the pool then.",
        none=_NO_VERDICTS,
    )


def _edge(sources: Sources) -> tuple[float, float]:
    return sources.tuning.near_exhaustion_share, sources[ThresholdId.T2].limit


def _edges(sources: Sources) -> tuple[Panel, ...]:
    near, full = _edge(sources)
    slow, lost = sources[ThresholdId.T1].limit, sources[ThresholdId.T6].limit
    many = sources.tuning.slow_share
    return (
        chart(
            "How full is the fullest process of each pool?",
            (Query(_ALL.fullness(SERVICE_POOL), _LEGEND),),
            f"Connections that are out, of those that the pool may open. From {near:.0%} on the "
            f"next burst may queue, at {full:.0%} (T2) the next caller waits: look for sessions "
            "that are never given back before you make the pool larger.",
            none=_NO_POOLS,
            unit=Unit.SHARE,
            steps=lines(near, full),
        ),
        chart(
            "Who waits for a connection?",
            (Query(_ALL.total(wire.PENDING_REQUESTS, labels=SERVICE_POOL), _LEGEND),),
            "Callers that are blocked in the queue of each pool. It is the earliest sign of "
            "exhaustion; a pool whose library does not tell is absent.",
            none=_NO_POOLS,
        ),
        chart(
            "Which share of those who ask waits long, or in vain?",
            (Query(_ALL.slow_share(slow, SERVICE_POOL), _LEGEND),),
            f"Callers that waited longer than {slow:g} s for a connection (T1), or got none. From "
            f"{many:.0%} on PoolCheckoutSlow fires: the pool's dashboard splits the wait into "
            "queueing, opening and pinging.",
            none="no data: nobody asked for a connection",
            unit=Unit.SHARE,
            steps=lines(amber=many),
            roomy=2 * many,
        ),
        chart(
            "Which share of those who ask times out?",
            (Query(_ALL.timeout_share(SERVICE_POOL), _LEGEND),),
            f"Time-outs per checkout asked for. {lost:.1%} (T6) is what the guides allow: above "
            "it the pool is exhausted, or pool_timeout is too short.",
            none="no data: nobody asked for a connection",
            unit=Unit.SHARE,
            steps=lines(amber=lost),
            roomy=2 * lost,
        ),
    )


def _servers(sources: Sources) -> Panel:
    share = 1 - sources[ThresholdId.T9].limit
    sessions = summed(per_server(own.SERVER_CONNECTIONS, labels=("server", "state")), ("server",))
    limit = per_server(own.SERVER_CONNECTIONS_LIMIT, 'scope="server"')
    own_up = selector(own.SERVER_UP.name, OF_EXPORTER)
    return table(
        "Which server has room left?",
        (
            Column("Server", label="server", link=_TO_SERVER),
            Column("Answers", per_server(own.SERVER_UP), mappings=is_up(), is_painted=True),
            Column("Asked by", by(("server",), own_up, "count")),
            Column("Sessions", sessions),
            Column("Limit", limit),
            Column(
                "Used",
                f"{sessions} / {limit}",
                unit=Unit.SHARE,
                steps=limits(share, 1),
                decimals=0,
            ),
            Column("Headroom", per_server(own.SERVER_HEADROOM), steps=room()),
        ),
        "Sessions of each database server, of what it admits to applications. Headroom is what "
        "the tightest limit leaves, Asked by the number of exporters. From "
        f"{share:.0%} used on the reserve is eaten (T9). A row opens the server.",
        none=_NO_SERVERS,
        sort=Sort("Used"),
        width=12,
    )


def _settings(sources: Sources) -> Panel:
    once = by((*POOL, "check_id"), _ALL.judged(own.CONFIG_CHECK, f'result="{Result.WARN}"'))
    return table(
        "Which settings are outside their safe range?",
        (
            Column("Service", label=SERVICE_NAME, link=_TO_POOL),
            Column("Pool", label=POOL_NAME, link=_TO_POOL),
            Column("Check", label="check_id", mappings=(check_titles(sources),), width=330),
            Column(
                "Processes",
                by((*SERVICE_POOL, "check_id"), once, "count"),
                steps=(*plain(), Step(1, AMBER)),
            ),
        ),
        "Configuration checks that warn, by their id (C1 to C10), with the number of processes. "
        "The row opens the pool, whose last rows have values and safe ranges.",
        none="no check warns, or no exporter checks",
        sort=Sort("Processes"),
        width=12,
        hides=("service_namespace", "db_namespace", "server_address", "server_port"),
    )


def _help() -> Panel:
    return text("Words", GLOSSARY, "What the words on these dashboards mean.", height=20)
