"""Log what an operator should read, each thing once or rarely; from the pusher's thread alone."""

import logging
from collections.abc import Iterable

from opentelemetry.metrics import MeterProvider

from poolscope.pushing.duplicate_metrics import DuplicateMetric, find_duplicate_metrics
from poolscope.pushing.timeout_report import describe_exhaustion
from poolscope.recording.leaks import Leak
from poolscope.recording.registry import Registry

LEAKS_LOGGED_AT_ONCE = 5

logger = logging.getLogger("poolscope")


class LogMessages:
    """Messages for the log of the application; each is logged once, or rarely."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._reachable: dict[str, bool] = {}
        self._duplicates: set[DuplicateMetric] = set()
        self._hook_error_logged = False

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
        """Log who held what and who waited, as the first caller that gave up saw it."""
        for identity, pool in self._registry.named_pools():
            stats = pool.stats
            exhaustion, stats.exhaustion = stats.exhaustion, None
            if exhaustion is not None:
                report = describe_exhaustion(
                    identity.name,
                    exhaustion,
                    stats.reader.configuration(),
                    pool.leaks.evidence_of,
                )
                logger.warning("%s", report)

    def log_problems(self) -> None:
        """Log what hooks left: renamed pools, pools without room, the first error of ours."""
        registry = self._registry
        while registry.renamed:
            logger.warning("two pools had the same name; one is now %s", registry.renamed.pop())
        if registry.hook_errors and not self._hook_error_logged:
            self._hook_error_logged = True
            logger.warning("poolscope lost some signal: %s", registry.last_hook_error)
        if registry.pools_refused:
            logger.warning("more pools than POOLSCOPE_MAX_POOLS: %d", registry.pools_refused)
            registry.pools_refused = 0

    def log_duplicate_metrics(self, provider: MeterProvider, off: Iterable[str]) -> None:
        """Log who else publishes a metric of ours in the same provider, once each."""
        for duplicate in find_duplicate_metrics(provider):
            if duplicate not in self._duplicates and duplicate.metric not in off:
                self._duplicates.add(duplicate)
                logger.warning(
                    "%s publishes %s beside poolscope: sums will be wrong. Switch ours off with "
                    "POOLSCOPE_METRICS_OFF, or theirs with OTEL_PYTHON_DISABLED_INSTRUMENTATIONS",
                    duplicate.scope,
                    duplicate.metric,
                )

    def log_reachability(self, endpoint: str, problem: Exception | None) -> None:
        """Log, quietly, that an exporter went away or came back."""
        was_there = self._reachable.get(endpoint, True)
        self._reachable[endpoint] = problem is None
        if was_there and problem is not None:
            logger.info("poolscope exporter is away, totals are kept: %s", problem)
        elif not was_there and problem is None:
            logger.info("poolscope exporter is back: %s", endpoint)
