"""Log messages for operators, each once or rarely; only the pusher's thread does this."""

import os
from collections.abc import Iterable

from opentelemetry.metrics import MeterProvider

from poolscope import app_log
from poolscope.app_log import AppLog
from poolscope.clock import monotonic
from poolscope.pushing.duplicate_metrics import find_duplicate_metrics
from poolscope.pushing.inherited_connections import last_taken
from poolscope.pushing.looks.sightings import FindSighting, now_sentence, unseen
from poolscope.pushing.loop_stalls import outside_causes
from poolscope.pushing.timeouts.timeout_report import describe_exhaustion
from poolscope.recording.leaks import Leak
from poolscope.recording.pool import PoolIdentity
from poolscope.recording.pool_rows.row import WatchedPool
from poolscope.recording.registry import Registry
from poolscope.recording.tasks import hidden_greenlets
from poolscope.sending.transport import PushAnswer
from poolscope.watching.loops import EventLoops

LEAKS_LOGGED_AT_ONCE = 5

POOLS_LISTED = 5
"""Most pools with one name that the log lists; an app with a pool per tenant has hundreds."""


class LogMessages:
    """The messages of one process for the log of the application."""

    def __init__(
        self, registry: Registry, loops: EventLoops, find_sighting: FindSighting = unseen
    ) -> None:
        self._registry = registry
        self._find_sighting = find_sighting
        self._loops = loops
        self._log = AppLog()
        self._reachable: dict[str, bool] = {}
        self._is_inherited_logged = False
        self._numbers_of_pools: dict[PoolIdentity, int] = {}

    def log_leaks(self, leaks: list[tuple[str, Leak]]) -> None:
        """Log new leaks, with the names of their pools."""
        for pool, leak in leaks[:LEAKS_LOGGED_AT_ONCE]:
            self._log.write_line(
                app_log.LEAK,
                pool,
                leak.evidence.value,
                leak.site.label,
                leak.route or "-",
                "for an unknown time" if leak.held_s is None else f"for {leak.held_s:.1f} s",
                kind=f"{pool} {leak.site.label}",
            )
        if len(leaks) > LEAKS_LOGGED_AT_ONCE:
            self._log.write_line(app_log.MORE_LEAKS, len(leaks) - LEAKS_LOGGED_AT_ONCE)

    def log_timeouts(self) -> list[tuple[PoolIdentity, str]]:
        """Log the holders and waiters at the time when the first caller gave up.

        Return the reports, also if the log leaves them out.
        """
        reports = []
        for identity, pool in self._registry.named_pools():
            stats = pool.stats
            exhaustion, stats.exhaustion = stats.exhaustion, None
            if exhaustion is not None:
                report = describe_exhaustion(
                    identity.name,
                    exhaustion,
                    stats.reader.configuration(),
                    pool.leaks.evidence_of,
                    outside_causes(self._loops, monotonic()),
                    now_of=self._now_of,
                )
                self._log.write_line(app_log.TIMEOUTS, report, kind=identity.name)
                reports.append((identity, report))
        return reports

    def _now_of(self, checkout_id: int) -> str:
        return now_sentence(self._find_sighting(checkout_id), monotonic())

    def log_inherited(self) -> None:
        """Log, once in each process, that it uses a connection that another process opened."""
        if self._is_inherited_logged:
            return
        for identity, pool in self._registry.named_pools():
            used = last_taken(pool.stats)
            if used:
                self._is_inherited_logged = True
                facts, last, _ = used[0]
                label, pid = last.site.label, facts.backend_pid
                self._log.write_line(app_log.INHERITED, os.getpid(), identity.name, pid, label)
                return

    def log_problems(self) -> None:
        """Log pools with one name, refused pools, and poolscope's first error."""
        registry = self._registry
        self._log_several_pools()
        if registry.hook_errors:
            self._log.write_line(app_log.HOOK_FAILED, registry.last_hook_error)
        if registry.pools_refused:
            self._log.write_line(app_log.POOLS_REFUSED, registry.pools_refused)
            registry.pools_refused = 0

    def _log_several_pools(self) -> None:
        """Log the names and lines of living pools that have one name, once for each number."""
        same: dict[PoolIdentity, list[tuple[PoolIdentity, WatchedPool]]] = {}
        for identity, pool in self._registry.named_pools():
            if not pool.is_gone:
                same.setdefault(pool.stats.identity, []).append((identity, pool))
        for given, pools in same.items():
            if len(pools) > self._numbers_of_pools.get(given, 1):
                self._numbers_of_pools[given] = len(pools)
                database = given.db_namespace or given.name
                line = pools[-1][1].line or database
                self._log.write_line(
                    app_log.SEVERAL_POOLS,
                    len(pools),
                    database,
                    _shown(pools),
                    line,
                    kind=given.name,
                )

    def log_greenlets(self) -> None:
        """Log that greenlets cannot be distinguished, and the data that is missing then."""
        library = hidden_greenlets()
        if library is not None:
            self._log.write_line(app_log.GREENLETS, library)

    def log_duplicate_metrics(self, provider: MeterProvider, off: Iterable[str]) -> None:
        """Log the scopes that publish a poolscope metric in the same provider."""
        for duplicate in find_duplicate_metrics(provider):
            if duplicate.metric not in off:
                scope, metric = duplicate.scope, duplicate.metric
                kind = f"{scope} {metric}"
                self._log.write_line(app_log.DUPLICATE_METRIC, scope, metric, kind=kind)

    def log_failed_push(self) -> None:
        """Log the error of a push, with its traceback."""
        self._log.write_line(app_log.PUSH_FAILED, error=True)

    def log_rejection(self, endpoint: str, answer: PushAnswer) -> None:
        """Log that an exporter rejected a part of a push, or its warning."""
        reason = answer.reason
        message = app_log.REJECTED if answer.rejected else app_log.ACCEPTED_WITH_WARNING
        if reason:
            self._log.write_line(message, endpoint, reason, kind=f"{endpoint} {reason}")

    def log_reachability(self, endpoint: str, problem: Exception | None) -> None:
        """Log, at INFO, that an exporter stopped answering, or answers again."""
        was_there = self._reachable.get(endpoint, True)
        self._reachable[endpoint] = problem is None
        if was_there and problem is not None:
            self._log.write_line(app_log.EXPORTER_AWAY, problem, kind=endpoint)
        elif not was_there and problem is None:
            self._log.write_line(app_log.EXPORTER_BACK, endpoint, kind=endpoint)


def _shown(pools: list[tuple[PoolIdentity, WatchedPool]]) -> str:
    """Return the names of the pools with the lines that made them; of equal lines the last one."""
    shown = [(identity.name, pool.line) for identity, pool in pools[:POOLS_LISTED]]
    following = [*(line for _, line in shown[1:]), None]
    texts = [
        name if line is None or line == next_line else f"{name} (created at {line})"
        for (name, line), next_line in zip(shown, following, strict=True)
    ]
    if len(pools) > POOLS_LISTED:
        texts.append(f"{len(pools) - POOLS_LISTED} more")
    return " and ".join((", ".join(texts[:-1]), texts[-1]))
