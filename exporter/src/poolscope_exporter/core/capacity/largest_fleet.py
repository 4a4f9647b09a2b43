"""The largest number of processes of each service, as configured in its autoscaler."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LargestFleet:
    """The largest number of processes of each `named` service, and of all `others`.

    None is not set.
    """

    named: tuple[tuple[str, int], ...] = ()
    others: int | None = None

    def most_processes(self, service: str) -> int | None:
        """Return the largest number of processes of a service, or None if it is not set."""
        return dict(self.named).get(service, self.others)


AS_SEEN = LargestFleet()
"""No limit on the fleet's size is configured."""
