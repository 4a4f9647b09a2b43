"""The nineteen incidents: the truth of each, written down before it is played.

The right names are here alone. An alert that another change adds is listed in `AWAITED` until the
shipped rules have it.
"""

from poolscope_exporter.core.checks.model import CheckId
from poolscope_exporter.core.judging.diagnosis import Diagnosis
from poolscope_exporter.postgres.poller import FACTS_S
from poolscope_generators.incidents.truth import Truth

LEAK_OF_A_REQUEST_S = 2.0
RARE_EVERY_S = 40.0
SILENT_FOR_S = 120.0
"""A service is silent after so long without a push."""
MONITORED_S = 16 * 60.0
"""An exporter that is lost monitored its servers a quarter of an hour before."""

UNSEEN = "no exporter sees it"
DOWN = "down"
HIDDEN = "privilege own"

AWAITED: frozenset[str] = frozenset()

TRUTHS = (
    Truth(
        "leak-in-a-rare-path",
        "a release's export keeps its connection; the export is called every 40 s",
        "a release that returns it",
        (Diagnosis.LEAKING,),
        ("PoolLeak",),
        evidence_after_s=LEAK_OF_A_REQUEST_S,
        told_after_s=RARE_EVERY_S + LEAK_OF_A_REQUEST_S,  # one leak has no rate
        group=1,
    ),
    Truth(
        "leak-without-evidence",
        "in 1 of 4 workers, a task that lives on takes a connection each minute and keeps it",
        "a restart of that worker",
        (),
        ("PoolLeakSuspected", "PoolLeak"),
        undiagnosed="nobody waits",
        told_after_s=660.0,
        lasts_s=780.0,
    ),
    Truth(
        "slow-upstream-in-a-transaction",
        "an upstream answers after 20 s; the route waits for it in a transaction",
        "the upstream answers at once again",
        (Diagnosis.HELD_IDLE,),
        ("PoolIdleInTransaction",),
        lasts_s=420.0,
    ),
    Truth(
        "lock-by-psql",
        "a psql session updates a row and stays in its transaction",
        "the session ends",
        (Diagnosis.BLOCKED,),
        ("PoolBlocked",),
        severity="critical",
        group=1,
    ),
    Truth(
        "slow-query",
        "a report's query takes 8 s",
        "the query is fast again",
        (Diagnosis.SLOW_QUERIES,),
        ("PoolSlowQueries",),
        severity="critical",
        group=2,
    ),
    Truth(
        "pool-too-small",
        "28 requests per second, of 0.4 s each, on 8 connections",
        "5 requests per second",
        (Diagnosis.UNDERSIZED,),
        ("PoolExhausted",),
        group=3,
    ),
    Truth(
        "nested-deadlock",
        "a release's request takes a second connection while it holds the first",
        "a release that passes the first on",
        (Diagnosis.DEADLOCKED,),
        ("PoolDeadlocked",),
        group=2,
    ),
    Truth(
        "synchronous-engine-on-the-loop",
        "a release's async route uses a synchronous engine, for queries of 0.7 s",
        "a release that does not",
        (Diagnosis.LOOP_BLOCKED,),
        ("PoolLoopBlocked", "PoolBlockingCheckouts"),
        group=3,
    ),
    Truth(
        "another-tenant-fills-the-server",
        "another program opens every connection that the server has left",
        "the program ends",
        (Diagnosis.SERVER_FULL,),
        ("DatabaseFull",),
        group=4,
    ),
    Truth(
        "pgbouncer-pool-cut",
        "the pool of a PgBouncer is cut from 20 to 2 server connections",
        "20 again",
        (Diagnosis.SERVER_FULL,),
        ("PoolServerFull", "PgBouncerHeadroomLow"),
        lasts_s=420.0,
        group=1,
    ),
    Truth(
        "proxy-closes-idle-sockets",
        "a proxy before the server closes sockets that were idle for 4 s; no pre-ping",
        "the proxy closes none",
        (Diagnosis.UNKNOWN,),
        ("PoolStaleSockets",),
        group=2,
    ),
    Truth(
        "postgresql-killed",
        "the server's postmaster is killed",
        "the server is started",
        (Diagnosis.CONNECT_FAILING,),
        ("DatabaseDown",),
        group=3,
    ),
    Truth(
        "role-cannot-log-in",
        "the app's role loses its log-in, and its sessions end",
        "the role may log in again",
        (Diagnosis.CONNECT_FAILING,),
        ("PoolConnectFailing",),
        group=4,
    ),
    Truth(
        "exporter-killed",
        "one of four exporters is killed",
        "the exporter is started",
        (),
        ("PoolscopeExporterLost",),
        undiagnosed=UNSEEN,
        well_s=MONITORED_S,
        group=0,
    ),
    Truth(
        "network-cut-to-the-exporter",
        "nothing that one service pushes arrives; its connections stay open",
        "the network passes bytes again",
        (),
        ("PoolscopeServiceSilent",),
        undiagnosed=UNSEEN,
        evidence_after_s=SILENT_FOR_S,
        lasts_s=360.0,
        group=2,
    ),
    Truth(
        "grant-lost",
        "the exporter's role loses pg_read_all_stats",
        "the grant is given again",
        (HIDDEN,),
        ("PoolscopePrivilegesLost",),
        evidence_after_s=FACTS_S,
        group=3,
    ),
    Truth(
        "misconfigured-pool",
        "a release's max_overflow is 30, with a pool_size of 5",
        "a release within the range",
        (CheckId.C2,),
        ("PoolMisconfigured",),
        severity="info",
        lasts_s=1260.0,
        watched_after_s=120.0,
    ),
    Truth(
        "hand-off-to-a-task",
        "nothing: a route opens a session and hands it to a task, which closes it",
        "nothing to cure",
        (Diagnosis.HEALTHY,),
        (),
        group=4,
    ),
    Truth(
        "session-healed-by-the-collector",
        "a route drops its session in a cycle of objects; the collector returns it seconds later",
        "a release that closes it",
        (Diagnosis.LEAKING, Diagnosis.HEALTHY),
        ("PoolLeak",),
        severity="info",
        evidence_after_s=LEAK_OF_A_REQUEST_S,
        lasts_s=420.0,
        group=1,
    ),
)

BY_NAME = {truth.name: truth for truth in TRUTHS}
