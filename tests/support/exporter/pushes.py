"""What arrived at a receiver, by process."""

from typing import Any

from poolscope import catalogue
from support.exporter.receiver import Receiver, points, resource


class Pushes:
    """What arrived, by process."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver

    def last(self) -> dict[int, Any]:
        """Return the newest push of each process."""
        return {resource(push)["process.pid"]: push for push in list(self._receiver.arrived)}

    def checkouts(self, pool: str) -> dict[int, int]:
        """Return how often each process took a connection of a pool, if it ever did."""
        totals = {
            pid: sum(
                point["value"]
                for point in points(push, catalogue.CHECKOUTS.name)
                if point[catalogue.POOL_NAME] == pool
            )
            for pid, push in self.last().items()
        }
        return {pid: total for pid, total in totals.items() if total}

    def instances(self) -> dict[int, set[str]]:
        """Return every service.instance.id that each process has ever used."""
        ids: dict[int, set[str]] = {}
        for push in list(self._receiver.arrived):
            about = resource(push)
            ids.setdefault(about["process.pid"], set()).add(about["service.instance.id"])
        return ids

    def ended(self) -> set[int]:
        """Return the processes whose newest push is marked as their last."""
        return {
            pid
            for pid, push in self.last().items()
            if points(push, catalogue.PUSH.name)[0][catalogue.PUSH_END]
        }
