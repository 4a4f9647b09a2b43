"""Queue requests to forward, within bounds: if there is no room, the oldest is dropped."""

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

MAX_ITEMS = 2_000
MAX_BYTES = 16 * 1024 * 1024


class Loss(StrEnum):
    """The reason why a received request was not forwarded."""

    QUEUE_FULL = "queue_full"
    REJECTED = "rejected"
    TOO_OLD = "too_old"
    SHUTDOWN = "shutdown"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class QueuedRequest:
    """One received request, decompressed."""

    body: bytes = field(repr=False)
    is_json: bool
    arrived_at_s: float


@dataclass(frozen=True, slots=True)
class ForwardReport:
    """The state of forwarding: requests by result, lost pushes by reason, and the queue's size."""

    requests: Mapping[str, int]
    lost: Mapping[str, int]
    waiting: int
    waiting_bytes: int


class ForwardQueue:
    """A queue with fixed bounds; `lost` counts its dropped requests by reason."""

    def __init__(self, max_items: int = MAX_ITEMS, max_bytes: int = MAX_BYTES) -> None:
        self._max_items = max_items
        self._max_bytes = max_bytes
        self._requests: deque[QueuedRequest] = deque()
        self.size = 0
        self.lost: Counter[Loss] = Counter(dict.fromkeys(Loss, 0))

    def __len__(self) -> int:
        return len(self._requests)

    def put(self, request: QueuedRequest) -> None:
        """Add a request; drop the oldest ones until all fit."""
        self._requests.append(request)
        self.size += len(request.body)
        while len(self._requests) > self._max_items or self.size > self._max_bytes:
            self._pop()
            self.lost[Loss.QUEUE_FULL] += 1

    def take_batch(self, max_items: int, max_bytes: int) -> list[QueuedRequest]:
        """Remove and return the oldest requests, at least one if there is any."""
        taken: list[QueuedRequest] = []
        room = max_bytes
        while self._requests and len(taken) < max_items:
            room -= len(self._requests[0].body)
            if taken and room < 0:
                break
            taken.append(self._pop())
        return taken

    def drop_before(self, arrived_before_s: float) -> None:
        """Drop requests that arrived before this time: they are too old to be useful."""
        while self._requests and self._requests[0].arrived_at_s < arrived_before_s:
            self._pop()
            self.lost[Loss.TOO_OLD] += 1

    def _pop(self) -> QueuedRequest:
        request = self._requests.popleft()
        self.size -= len(request.body)
        return request
