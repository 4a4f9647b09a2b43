"""Remember the processes that stopped pushing without an end, and their pools at the last push."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from poolscope_exporter.core.fleet.process_names import process_name
from poolscope_exporter.core.judging.overview.worst_first import order_pools
from poolscope_exporter.core.judging.situation import PoolAssessment, Situation
from poolscope_exporter.core.model.checkouts import Instance

KEPT_S: Final = 3600.0
"""How long a silent process is shown; the fleet keeps its counters for ten minutes only."""

MAX_SILENT: Final = 200
"""The most silent processes that are kept, the newest ones."""


@dataclass(frozen=True, slots=True)
class SilentProcess:
    """A process that has not pushed for three intervals and did not report its end.

    Its last push was at `last_push_s`; `pools` are its pools as judged then, the worst first.
    """

    instance: Instance
    process: str
    last_push_s: float
    pools: tuple[PoolAssessment, ...]


@dataclass(frozen=True, slots=True)
class Silence:
    """The silent processes, the last one to fall silent first.

    If any process has pushed since the start of the exporter, `has_pushes` is true. If any process
    pushes now, `is_live` is true.
    """

    processes: tuple[SilentProcess, ...] = ()
    has_pushes: bool = False
    is_live: bool = False


NO_SILENCE: Final = Silence()


class LastWords:
    """The pools of each live process, and the silent processes; times are one monotonic clock."""

    def __init__(self, max_silent: int = MAX_SILENT) -> None:
        self._max_silent = max_silent
        self._live: dict[Instance, tuple[PoolAssessment, ...]] = {}
        self._silent: dict[Instance, SilentProcess] = {}
        self._has_pushes = False

    def record_processes(self, situation: Situation) -> None:
        """Record the pools of the live processes, and which processes are silent now."""
        by_instance: dict[Instance, list[PoolAssessment]] = {}
        for pool in situation.pools:
            by_instance.setdefault(pool.pool.instance, []).append(pool)
        before, self._live = self._live, {}
        for state in situation.instances:
            self._has_pushes = True
            if state.is_live or state.ended:
                self._silent.pop(state.instance, None)
            if state.is_live:
                self._live[state.instance] = tuple(by_instance.get(state.instance, ()))
            elif not state.ended and (pools := before.get(state.instance)):
                self._silent[state.instance] = SilentProcess(
                    state.instance,
                    process_name(state.instance, state.resource),
                    situation.taken_at_s - state.last_push_age_s,
                    tuple(order_pools(pools)),
                )
        self._expire(situation.taken_at_s)

    def silence(self) -> Silence:
        """Return the silent processes, and whether any process pushes."""
        return Silence(tuple(_newest(self._silent.values())), self._has_pushes, bool(self._live))

    def _expire(self, now_s: float) -> None:
        kept = [each for each in self._silent.values() if each.last_push_s > now_s - KEPT_S]
        self._silent = {each.instance: each for each in _newest(kept)[: self._max_silent]}


def _newest(processes: Iterable[SilentProcess]) -> list[SilentProcess]:
    return sorted(processes, key=lambda each: (-each.last_push_s, each.instance))
