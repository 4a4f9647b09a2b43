"""All data and judgements at one instant."""

from dataclasses import dataclass

from poolscope_exporter.core.blocking.root_blockers import RootBlocker
from poolscope_exporter.core.capacity.pods import PodDemand
from poolscope_exporter.core.checks.model import ConfigCheck
from poolscope_exporter.core.fleet.fleet import InstanceState
from poolscope_exporter.core.fleet.pool_numbers import PoolNumbers
from poolscope_exporter.core.judging.diagnosis import PoolDiagnosis
from poolscope_exporter.core.judging.verdicts import Judgement
from poolscope_exporter.core.judging.views import BouncerView, ServerView
from poolscope_exporter.core.model.checkouts import Pool
from poolscope_exporter.core.model.idle_timeouts import IdleTimeout
from poolscope_exporter.core.model.rejected_data import RejectedData


@dataclass(frozen=True, slots=True)
class PoolAssessment:
    """One pool: its numbers, its diagnosis, and the checks of its configuration.

    The tightest known idle time-out on its path is `proxy_idle`. Its sessions are on `server`, and
    `bouncer` is the first stop before it; None is unknown, or no PgBouncer. The demand of all
    processes in its pod, container or host is `pod`.
    """

    pool: Pool
    numbers: PoolNumbers
    diagnosis: PoolDiagnosis
    checks: tuple[ConfigCheck, ...] = ()
    proxy_idle: IdleTimeout | None = None
    server: str | None = None
    bouncer: str | None = None
    pod: PodDemand | None = None


@dataclass(frozen=True, slots=True)
class Withheld:
    """The number of known items that are not shown, because they may not be shown."""

    checkouts: int = 0
    pools: int = 0


@dataclass(frozen=True, slots=True)
class Situation:
    """All data at `taken_at_s` (the exporter's monotonic clock)."""

    judgements: tuple[Judgement, ...]
    pools: tuple[PoolAssessment, ...]
    servers: tuple[ServerView, ...]
    instances: tuple[InstanceState, ...]
    taken_at_s: float
    bouncers: tuple[BouncerView, ...] = ()
    configured_idle: tuple[IdleTimeout, ...] = ()
    withheld: Withheld = Withheld()
    blockers: tuple[RootBlocker, ...] = ()
    rejected: tuple[RejectedData, ...] = ()
