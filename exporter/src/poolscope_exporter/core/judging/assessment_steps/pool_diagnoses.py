"""Diagnose each pool over its window, with the load of its server."""

from collections import Counter
from collections.abc import Sequence

from poolscope_exporter.core.judging.assessment_steps.seen_pools import SeenPool
from poolscope_exporter.core.judging.assessment_steps.view_finder import ViewFinder
from poolscope_exporter.core.judging.diagnosis import PoolDiagnosis, diagnose
from poolscope_exporter.core.judging.diagnosis_window import DiagnosisWindows
from poolscope_exporter.core.judging.ended_verdicts import EndedVerdicts
from poolscope_exporter.core.judging.pool_evidence import DIRECT, Destination
from poolscope_exporter.core.judging.server_load import (
    UNKNOWN_LOAD,
    LoadHistory,
    Plateau,
    ServerLoad,
)
from poolscope_exporter.core.judging.verdicts import Judgement, Verdict
from poolscope_exporter.core.judging.views import BouncerView, ServerView
from poolscope_exporter.core.model.checkouts import Pool
from poolscope_exporter.core.model.pgbouncers import socket_of


def diagnose_all(
    seen: Sequence[SeenPool],
    finder: ViewFinder,
    windows: DiagnosisWindows,
    ended: EndedVerdicts,
    loads: LoadHistory,
    *,
    now_s: float,
) -> list[PoolDiagnosis]:
    """Diagnose each pool over its window; drop the pools that are gone."""
    known = {each.pool for each in seen}
    windows.drop_others(known)
    ended.keep_pools(known)
    finder.note_loads(loads)
    loads.keep_loads(known, finder.servers)
    found = []
    for each in seen:
        loads.note_waiting(each.pool, each.numbers, now_s)
        plateau = loads.plateau(each.pool, each.numbers.growth, now_s)
        load = _load_of(each.pool, finder.named(each.server), loads, plateau)
        diagnosis = _diagnose(each, ended.recent(each.pool, now_s), load)
        found.append(windows.settle(each.pool, diagnosis, each.numbers.pending or 0, now_s))
    return found


def _diagnose(seen: SeenPool, ended: Counter[Verdict], load: ServerLoad) -> PoolDiagnosis:
    numbers, judgements, destination = seen.numbers, seen.judgements, DIRECT
    if isinstance(seen.view, BouncerView):
        # Its server connections may all be busy: then clients wait there, which is reported
        # separately.
        destination = _through(seen.view, seen.pool, judgements)
    return diagnose(numbers, judgements, seen.free, destination, ended, load=load)


def _load_of(
    pool: Pool, view: ServerView | None, loads: LoadHistory, plateau: Plateau | None
) -> ServerLoad:
    """Return the load of a pool's server; unknown if it does not answer."""
    if view is None or not view.up:
        return UNKNOWN_LOAD
    share = loads.cpu_share(view.server, view.cpus, pool)
    return ServerLoad(share, view.cpus, view.active_on_cpu, plateau)


def _through(view: BouncerView, pool: Pool, judgements: Sequence[Judgement]) -> Destination:
    """Return how a PgBouncer serves the pool: its database is paused, or its clients queue.

    If PgBouncer has a held connection of the pool, its database and user names are used.
    """
    clients = view.known.sample.clients if view.known and view.known.sample else {}
    sockets = [socket_of(j.checkout.local) for j in judgements if j.checkout.local]
    found = [clients[socket] for socket in sockets if socket in clients]
    wanted = {(client.database, client.user) for client in found} or {(pool.database, "")}
    queue = view.full_queue(wanted)
    return Destination(
        view.bouncer,
        is_paused=any(database in view.paused for database, _ in wanted),
        queued=queue.waiting if queue else 0,
        longest_queued_s=queue.longest_s if queue else 0.0,
    )
