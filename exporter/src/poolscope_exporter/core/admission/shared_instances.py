"""Keep processes apart that push under one `service.instance.id`."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

from poolscope.catalogue import HOST_NAME, K8S_POD_NAME, PROCESS_PID
from poolscope_exporter.core.model.checkouts import Checkout, HeldCheckouts, Instance, Pool
from poolscope_exporter.core.model.pushes import Push

MAX_WATCHED: Final = 5_000
"""Ids that are watched, several times as many as processes are followed by default."""

MAX_PROCESSES: Final = 32
"""Processes that are remembered of one id; a container that restarts all day has many."""

_Value = TypeVar("_Value")


@dataclass(slots=True)
class _Sender:
    """One process that pushes under an id; `sequence` is the number of its last push."""

    place: tuple[str, ...]
    started_ns: int | None
    number: int
    sequence: int = 0

    @property
    def label(self) -> str:
        pid, *hosts = self.place
        return f"{pid}@{next(filter(None, hosts), '')}"


@dataclass(slots=True)
class _Watched:
    """The processes that pushed under one id, the last one last."""

    senders: list[_Sender] = field(default_factory=list)
    is_shared: bool = False
    seen: int = 0

    def sender_of(self, push: Push) -> _Sender:
        place, started_ns = _place(push), _started_ns(push)
        here = [each for each in self.senders if each.place == place]
        exact = next((each for each in here if each.started_ns == started_ns), None)
        if exact or (here and started_ns is None):
            return exact or here[-1]  # a push without counters: of the process that was here last
        self.seen += 1
        found = _Sender(place, started_ns, self.seen)
        self.senders.append(found)
        del self.senders[:-MAX_PROCESSES]
        return found

    def note(self, sender: _Sender, push: Push) -> bool:
        """Note who pushes; return False for a late push of a process that has a successor.

        A process that goes on pushing after its successor runs beside it: they share the id.
        """
        sequence, is_first = push.sequence or 0, sender.sequence == 0
        is_back = self.senders[-1] is not sender and not is_first
        if is_back and not self.is_shared:
            if push.is_end or sequence <= sender.sequence:
                return False
            self.is_shared = True
        sender.sequence = max(sender.sequence, sequence)
        self.senders.remove(sender)
        self.senders.append(sender)
        return True

    def id_of(self, instance: Instance, sender: _Sender) -> str:
        same = [each for each in self.senders if each.label == sender.label]
        number = f" #{sender.number}" if len(same) > 1 else ""
        return f"{instance.id} ({sender.label}{number})"


@dataclass(frozen=True, slots=True)
class Separated:
    """A push under the id by which it is kept; `warning` gives the reason for another id.

    `is_news`: this push is the first evidence that processes share the id. `is_late`: the process
    has ended, and its successor has pushed.
    """

    push: Push
    warning: str | None = None
    is_news: bool = False
    is_late: bool = False


class SharedInstances:
    """The processes behind each `service.instance.id` of poolscope's senders.

    A container that restarts keeps its id, but its predecessor never pushes again. If it does, two
    processes run at the same time. From then on each of them has an id with its pid and host.
    """

    def __init__(self, max_watched: int = MAX_WATCHED) -> None:
        self._max_watched = max_watched
        self._watched: OrderedDict[Instance, _Watched] = OrderedDict()

    def separate(self, push: Push) -> Separated:
        """Return the push under the id of its process alone."""
        if push.sequence is None:
            return Separated(push)  # other senders' series have a start: see `series.py`
        watched = self._watched.setdefault(push.instance, _Watched())
        self._watched.move_to_end(push.instance)
        if len(self._watched) > self._max_watched:
            self._watched.popitem(last=False)
        was_shared, sender = watched.is_shared, watched.sender_of(push)
        is_late = not watched.note(sender, push)
        if not watched.is_shared:
            return Separated(push, is_late=is_late)
        given = push.instance
        own = replace(given, id=watched.id_of(given, sender))
        warning = (
            f"several processes push as service.instance.id {given.id!r}; this one is shown as"
            f" {own.id!r}. Do not set service.instance.id, or make it unique for each process"
        )
        return Separated(_under(push, own), warning, is_news=not was_shared)


def _place(push: Push) -> tuple[str, ...]:
    return tuple(push.resource.get(name, "") for name in (PROCESS_PID, K8S_POD_NAME, HOST_NAME))


def _started_ns(push: Push) -> int | None:
    # All series of one of our processes have the same start.
    starts = (point.start_ns for point in push.points if point.start_ns and not point.is_delta)
    return next(starts, None)


def _under(push: Push, instance: Instance) -> Push:
    """Return the push with another instance everywhere."""

    def own(pool: Pool) -> Pool:
        return replace(pool, instance=instance)

    def by_pool(values: Mapping[Pool, _Value]) -> dict[Pool, _Value]:
        return {own(pool): value for pool, value in values.items()}

    def checkout(held: Checkout) -> Checkout:
        return replace(held, pool=own(held.pool))

    def listed(held: HeldCheckouts) -> HeldCheckouts:
        return replace(held, pool=own(held.pool), listed=tuple(map(checkout, held.listed)))

    return replace(
        push,
        instance=instance,
        held=tuple(map(listed, push.held)),
        waiters=tuple(replace(each, pool=own(each.pool)) for each in push.waiters),
        backend_pids=by_pool(push.backend_pids),
        generations=by_pool(push.generations),
        pools_made=by_pool(push.pools_made),
        inherited=by_pool(push.inherited),
    )
