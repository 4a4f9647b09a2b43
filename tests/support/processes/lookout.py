"""Look at something several times per second, beside the test, until the test has seen enough."""

import threading
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

LOOK_INTERVAL_S = 0.25


class Lookout(ABC):
    """Calls `look` in a thread of its own while its context lasts; `errors` has what it raised.

    After an error it looks no more: whoever reads what was seen checks `errors` first.
    """

    def __init__(self, interval_s: float = LOOK_INTERVAL_S) -> None:
        self._interval_s = interval_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.errors: list[BaseException] = []

    @abstractmethod
    def look(self) -> None:
        """Look once."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self._stop.wait(self._interval_s):
                self.look()
        except Exception as exc:  # noqa: BLE001 - shown by who asks next
            self.errors.append(exc)
