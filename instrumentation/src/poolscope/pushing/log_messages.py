"""Log messages for operators, each once or rarely; only the pusher's thread does this."""

import logging
import os
from collections.abc import Iterable

from opentelemetry.metrics import MeterProvider

from poolscope.clock import monotonic
from poolscope.pushing.duplicate_metrics import DuplicateMetric, find_duplicate_metrics
from poolscope.pushing.inherited_connections import last_taken
from poolscope.pushing.looks.sightings import FindSighting, now_sentence, unseen
from poolscope.pushing.loop_stalls import outside_causes
from poolscope.pushing.timeout_report import describe_exhaustion
from poolscope.recording.leaks import Leak
from poolscope.recording.registry import Registry
from poolscope.recording.tasks import hidden_greenlets
from poolscope.sending.transport import PushAnswer
from poolscope.watching.loops import EventLoops

LEAKS_LOGGED_AT_ONCE = 5
REJECTIONS_LOGGED = 10
"""Most different reasons that are logged: reasons may contain numbers."""

logger = logging.getLogger("poolscope")


class LogMessages:
    """Messages for the log of the application; each is logged once, or rarely."""

    def __init__(
        self, registry: Registry, loops: EventLoops, find_sighting: FindSighting = unseen
    ) -> None:
        self._registry = registry
        self._find_sighting = find_sighting
        self._loops = loops
        self._reachable: dict[str, bool] = {}
        self._duplicates: set[DuplicateMetric] = set()
        self._hook_error_logged = False
        self._greenlets_logged = False
        self._inherited_logged = False
        self._renamed: set[str] = set()
        self._rejections: set[tuple[str, str]] = set()

    def log_leaks(self, leaks: list[tuple[str, Leak]]) -> None:
        """Log new leaks, with the names of their pools."""
        for pool, leak in leaks[:LEAKS_LOGGED_AT_ONCE]:
            logger.warning(
                "apparent connection leak: pool=%s evidence=%s route=%s taken at %s, held %s",
                pool,
                leak.evidence.value,
                leak.route or "-",
                leak.site.label,
                "unknown" if leak.held_s is None else f"{leak.held_s:.1f} s",
            )
        if len(leaks) > LEAKS_LOGGED_AT_ONCE:
            logger.warning("and %d more apparent leaks", len(leaks) - LEAKS_LOGGED_AT_ONCE)

    def log_timeouts(self) -> None:
        """Log the holders and waiters at the time when the first caller gave up."""
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
                logger.warning("%s", report)

    def _now_of(self, checkout_id: int) -> str:
        return now_sentence(self._find_sighting(checkout_id), monotonic())

    def log_inherited(self) -> None:
        """Log, once in each process, that it uses a connection that another process opened."""
        if self._inherited_logged:
            return
        for identity, pool in self._registry.named_pools():
            used = last_taken(pool.stats)
            if not used:
                continue
            self._inherited_logged = True
            facts, last, _ = used[0]
            logger.warning(
                "process %d uses a connection that another process opened before a fork: "
                "pool=%s backend pid %s, taken at %s. Each process may get the other's results. "
                "In the child (post_fork of gunicorn, for example) call "
                "engine.dispose(close=False), or open the psycopg_pool or asyncpg pool there",
                os.getpid(),
                identity.name,
                facts.backend_pid,
                last.site.label,
            )
            return

    def log_problems(self) -> None:
        """Log the problems of hooks: renamed pools, refused pools, poolscope's first error."""
        registry = self._registry
        for name, unique in list(registry.renamed.items()):
            if name not in self._renamed:
                self._renamed.add(name)
                logger.warning(
                    "two pools had the same name; one is now %s. Name each pool with "
                    "poolscope.name_pool()",
                    unique,
                )
        if registry.hook_errors and not self._hook_error_logged:
            self._hook_error_logged = True
            logger.warning(
                "a poolscope hook failed: %s. Some metrics are incomplete; please report this",
                registry.last_hook_error,
            )
        if registry.pools_refused:
            logger.warning(
                "more pools than POOLSCOPE_MAX_POOLS: %d not watched. Make one engine for each "
                "database, or raise the limit",
                registry.pools_refused,
            )
            registry.pools_refused = 0

    def log_greenlets(self) -> None:
        """Log, once, that greenlets cannot be distinguished, and the data that is missing then."""
        library = hidden_greenlets()
        if library is not None and not self._greenlets_logged:
            self._greenlets_logged = True
            logger.warning(
                "poolscope cannot distinguish the greenlets of %s: it does not report nested "
                "checkouts and evidence thread_idle for threads. Patch the standard library "
                "(gevent.monkey.patch_all(), eventlet.monkey_patch()) before importing poolscope",
                library,
            )

    def log_duplicate_metrics(self, provider: MeterProvider, off: Iterable[str]) -> None:
        """Log, once each, the scopes that publish a poolscope metric in the same provider."""
        for duplicate in find_duplicate_metrics(provider):
            if duplicate not in self._duplicates and duplicate.metric not in off:
                self._duplicates.add(duplicate)
                logger.warning(
                    "%s publishes %s beside poolscope: sums will be wrong. Switch the metric off "
                    "in poolscope with POOLSCOPE_METRICS_OFF, or disable the other instrumentation "
                    "with OTEL_PYTHON_DISABLED_INSTRUMENTATIONS",
                    duplicate.scope,
                    duplicate.metric,
                )

    def log_rejection(self, endpoint: str, answer: PushAnswer) -> None:
        """Log, once for each reason, that an exporter rejected a part of a push, or its warning."""
        reason = answer.reason
        is_new = (endpoint, reason) not in self._rejections
        if not reason or not is_new or len(self._rejections) >= REJECTIONS_LOGGED:
            return
        self._rejections.add((endpoint, reason))
        if answer.rejected:
            logger.warning("%s did not keep all of a push: %s", endpoint, reason)
        else:
            logger.warning("%s accepted a push with a warning: %s", endpoint, reason)

    def log_reachability(self, endpoint: str, problem: Exception | None) -> None:
        """Log, at INFO, that an exporter stopped answering, or answers again."""
        was_there = self._reachable.get(endpoint, True)
        self._reachable[endpoint] = problem is None
        if was_there and problem is not None:
            logger.info("poolscope exporter is away, totals are kept: %s", problem)
        elif not was_there and problem is None:
            logger.info("poolscope exporter is back: %s", endpoint)
