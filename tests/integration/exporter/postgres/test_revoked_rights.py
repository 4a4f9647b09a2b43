"""Each right of the exporter's queries, revoked one at a time: a green `check` means `run` sees."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from importlib import resources

import psycopg

import poolscope_exporter.postgres
from poolscope_exporter import clock
from poolscope_exporter.commands.check import check_target
from poolscope_exporter.core.correlator import Correlator
from poolscope_exporter.core.judging.verdicts import BLOCKED_S
from poolscope_exporter.core.judging.views import ServerView
from poolscope_exporter.core.linking.confirmation import CONFIRM_MARGIN_S
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from poolscope_exporter.postgres.factory import poller_of
from poolscope_exporter.postgres.server import EVERY_STATEMENT
from poolscope_exporter.settings.servers import ServerTarget
from poolscope_exporter.web.rows import link_text
from support.exporter.builders import a_checkout, a_pool, a_push, holding, pool_points
from support.exporter.held_pushes import own_end
from support.postgres.server import make_role, run_sql
from support.postgres.watching import a_target

STATEMENTS = resources.files(poolscope_exporter.postgres).joinpath("sql")
USED = """
    SELECT proname::text, 'EXECUTE ON ROUTINE ' || string_agg(oid::regprocedure::text, ', ')
    FROM pg_proc
    WHERE pronamespace = 'pg_catalog'::regnamespace AND proname = ANY(%s)
    GROUP BY proname
    UNION ALL
    SELECT relname::text, 'SELECT ON ' || relname FROM pg_class
    WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind = 'v' AND relname = ANY(%s)
"""
"""The functions, with every overload, and the views with a name that stands in a statement."""

LOCK = "SELECT pg_advisory_xact_lock(4711)"
WAITS_LONG = (
    "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    " AND clock_timestamp() - query_start > %s * interval '1 s'"
)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a poll sees of a connection that waits for a lock, and of its server."""

    view: ServerView
    verdict: str
    reason: str | None
    link: str | None

    @property
    def is_complete(self) -> bool:
        survey = self.view.connections
        waits = self.view.lock_waits
        return bool(
            (self.verdict, self.link) == ("blocked", "address")
            and self.view.limits
            and survey
            and waits
            and waits.waits
            and self.view.session_groups
            and self.view.owners
        )


def statement_names() -> set[str]:
    return {path.name.removesuffix(".sql") for path in STATEMENTS.iterdir()}


def used_rights(server: EmbeddedPostgres) -> dict[str, str]:
    texts = (re.sub("--.*", "", path.read_text()) for path in STATEMENTS.iterdir())
    words = sorted({word for text in texts for word in re.findall(r"[a-z_0-9]+", text)})
    return dict(run_sql(server.dsn, USED, words, words))


@contextlib.contextmanager
def revoked(server: EmbeddedPostgres, right: str) -> Iterator[None]:
    run_sql(server.dsn, f"REVOKE {right} FROM PUBLIC")
    try:
        yield
    finally:
        run_sql(server.dsn, f"GRANT {right} TO PUBLIC")


@contextlib.asynccontextmanager
async def blocked_connection(server: EmbeddedPostgres) -> AsyncIterator[psycopg.AsyncConnection]:
    """Yield a connection that has waited long for a lock, which another transaction holds."""
    with psycopg.connect(server.dsn) as holder:
        holder.execute(LOCK)
        waiting = await psycopg.AsyncConnection.connect(server.dsn)
        task = asyncio.create_task(waiting.execute(LOCK))
        while run_sql(server.dsn, WAITS_LONG, BLOCKED_S) == [(0,)]:  # noqa: ASYNC110 - the server decides
            await asyncio.sleep(0)
        try:
            yield waiting
        finally:
            holder.rollback()
            await task
            await waiting.close()


async def poll(target: ServerTarget, held: psycopg.AsyncConnection) -> Seen:
    correlator = Correlator([target.configured])
    poller = poller_of(target, correlator)
    pool = a_pool(server_address="127.0.0.1", server_port=int(target.dsn.port))
    checkout = a_checkout(
        pool=pool, backend_pid=held.info.backend_pid, local=own_end(held), peer=None
    )
    push = a_push(*pool_points(pool, used=1), sequence=1, held=(holding(checkout),))
    correlator.take_push(push, clock.monotonic())
    stop = asyncio.Event()
    stop.set()
    try:
        await poller.loop.poll_once()
    finally:
        await poller.loop.run(stop)
    # A verdict needs a push that surely shows the same checkout after the poll.
    now_s = clock.monotonic() + CONFIRM_MARGIN_S
    correlator.take_push(replace(push, sequence=2), now_s)
    view = poller.server_view(now_s)
    situation = correlator.situation(now_s, [view], [])
    [judged] = situation.judgements
    return Seen(view, judged.verdict, judged.reason, link_text(judged.link))


def test_check_runs_every_statement_of_the_exporter() -> None:
    assert EVERY_STATEMENT.keys() == statement_names()


async def test_green_check_means_that_run_sees_for_each_right_revoked_one_at_a_time(
    every_postgres: EmbeddedPostgres,
) -> None:
    rights = used_rights(every_postgres)
    assert {"pg_stat_get_activity", "pg_blocking_pids", "pg_roles"} <= rights.keys()
    target = a_target(make_role(every_postgres, "reader", member_of=("pg_read_all_stats",)))
    wrong = []
    async with blocked_connection(every_postgres) as held:
        complete = await poll(target, held)
        assert complete.is_complete, complete
        assert (await check_target(target)).missing == ()
        for name, right in rights.items():
            with revoked(every_postgres, right):
                report = await check_target(target)
                seen = await poll(target, held)
            if not report.missing and not seen.is_complete:
                wrong.append(f"{name}: check is green, and run does not see: {seen}")
            if not seen.view.up or seen.reason == "server_down":
                wrong.append(f"{name}: the server counts as down: {seen}")
            if seen.verdict == "unknown" and seen.reason != "no_privilege":
                wrong.append(f"{name}: {seen.reason} where a right is missing")
    assert wrong == []


async def test_check_names_the_grant_that_is_missing(every_postgres: EmbeddedPostgres) -> None:
    target = a_target(make_role(every_postgres, "reader", member_of=("pg_read_all_stats",)))
    with revoked(every_postgres, used_rights(every_postgres)["pg_blocking_pids"]):
        report = await check_target(target)

    assert report.missing == ('GRANT EXECUTE ON FUNCTION pg_catalog.pg_blocking_pids TO "reader";',)
    assert "refused     blockers: permission denied for function pg_blocking_pids" in report.lines
