"""Everything that is known and judged at one instant."""

from dataclasses import dataclass

from poolscope_exporter.core.capacity.idle_timeouts import IdleTimeout
from poolscope_exporter.core.checks.model import ConfigCheck
from poolscope_exporter.core.fleet.fleet import InstanceState
from poolscope_exporter.core.fleet.pool_numbers import PoolNumbers
from poolscope_exporter.core.judging.diagnosis import PoolDiagnosis
from poolscope_exporter.core.judging.verdicts import Judgement
from poolscope_exporter.core.judging.views import BouncerView, ServerView
from poolscope_exporter.core.model.checkouts import Pool


@dataclass(frozen=True, slots=True)
class PoolAssessment:
    """One pool: its numbers, what is the matter with it, and what its configuration lacks.

    `proxy_idle` is the tightest known idle time-out on its way. `server` has its sessions,
    `bouncer` is the first stop before it; None is not known, or no bouncer.
    """

    pool: Pool
    numbers: PoolNumbers
    diagnosis: PoolDiagnosis
    checks: tuple[ConfigCheck, ...] = ()
    proxy_idle: IdleTimeout | None = None
    server: str | None = None
    bouncer: str | None = None


@dataclass(frozen=True, slots=True)
class Withheld:
    """How much is known and not shown, because a server's sessions may be shown only in part."""

    checkouts: int = 0
    pools: int = 0


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything that is known at `taken_at_s` (the exporter's monotonic clock)."""

    judgements: tuple[Judgement, ...]
    pools: tuple[PoolAssessment, ...]
    servers: tuple[ServerView, ...]
    instances: tuple[InstanceState, ...]
    taken_at_s: float
    bouncers: tuple[BouncerView, ...] = ()
    configured_idle: IdleTimeout | None = None
    withheld: Withheld = Withheld()
