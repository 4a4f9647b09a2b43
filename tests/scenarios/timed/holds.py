"""Every way to keep a pool full, with the diagnosis that it must get; and the run of them."""

import json
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from poolscope_exporter.core.judging.diagnosis import Diagnosis
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from poolscope_generators.incident.pgbouncer import PgBouncer
from poolscope_generators.scenarios.timed import Hold, HoldOutcome
from scenarios.timed.courses import Course, Courses
from scenarios.timed.stage import a_program, an_exporter
from support.postgres.server import run_sql
from support.processes.child_processes import wait_until

DIRECT = "direct"
LENGTHS_S = (1.5, 3.0, 6.0, 9.0, 15.0)
SHORT_S = (0.05, 0.15, 0.5)
IN_CI_S = (1.5, 6.0, 15.0)

HELD_BY: dict[str, Diagnosis] = {
    "slow_query": Diagnosis.SLOW_QUERIES,
    "lock": Diagnosis.BLOCKED,
    "slow_upstream": Diagnosis.HELD_IDLE,
    "held_idle": Diagnosis.HELD_IDLE,
}
DIRECTLY = (
    *(Hold(cause, held_s, right) for cause, right in HELD_BY.items() for held_s in LENGTHS_S),
    *(Hold("pool_too_small", held_s, Diagnosis.UNDERSIZED) for held_s in SHORT_S),
)
THROUGH_A_BOUNCER = tuple(
    Hold("small_bouncer", held_s, Diagnosis.SERVER_FULL) for held_s in LENGTHS_S
)

FROM_S = 6.0
"""From then on the right word is due; the pool is full from the start."""
PLAYED_S = 36.0
MOSTLY = 0.9
NO_ACCUSATION = frozenset({Diagnosis.FULL, Diagnosis.UNKNOWN})


def play_holds(
    server: EmbeddedPostgres, folder: Path, holds: Sequence[Hold], patience: float
) -> list[HoldOutcome]:
    """Play the holds all at once on a server of their own; return what was said of each.

    On a busy machine the right word is due after `patience` times as long.
    """
    run_sql(server.dsn, "CREATE TABLE scenario (id int PRIMARY KEY)")
    run_sql(server.dsn, "INSERT INTO scenario VALUES (2)")
    with ExitStack() as stack:
        ways, consoles = {DIRECT: server.dsn}, []
        for hold in holds:
            if hold.cause == "small_bouncer":
                bouncer = stack.enter_context(PgBouncer(server, default_pool_size=1))
                ways[hold.name] = bouncer.dsn
                consoles.append(bouncer.console)
        exporter = stack.enter_context(an_exporter(folder, {"main": server}, consoles))
        wanted = [(each.cause, each.held_s, _way(each, ways)) for each in holds]
        courses = stack.enter_context(Courses(exporter))
        log = folder / "holds.log"
        command, told = ["-m", "scenarios.timed.holds_app"], json.dumps(wanted)
        stack.enter_context(a_program(command, ways, exporter.otlp, log, SCENARIO_HOLDS=told))
        names = {each.name for each in holds}
        assert wait_until(lambda: names <= set(courses.pools())), log.read_text()
        time.sleep(PLAYED_S)
        return [_outcome(each, courses.of(each.name), patience) for each in holds]


def _way(hold: Hold, ways: dict[str, str]) -> str:
    return hold.name if hold.name in ways else DIRECT


def _outcome(hold: Hold, course: Course, patience: float) -> HoldOutcome:
    began_s = course.looks[0].at_s
    until_s = began_s + PLAYED_S
    others = course.others({*NO_ACCUSATION, hold.right}, began_s, until_s)
    return HoldOutcome(
        hold,
        first_s=course.first({hold.right}, began_s),
        share=course.share({hold.right}, began_s + patience * FROM_S, until_s),
        wrong=sorted({look.diagnosis for look in others}),
        said=tuple(f"{look.at_s - began_s:.1f} s: {'; '.join(look.reasons)}" for look in others),
    )


def check_holds(outcomes: Sequence[HoldOutcome]) -> None:
    """Assert that the right word was said nearly always, and no wrong one ever."""
    problems = [each for each in outcomes if each.share < MOSTLY or each.wrong]
    assert not problems, problems
