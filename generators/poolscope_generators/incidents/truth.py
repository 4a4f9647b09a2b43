"""The truth of an incident, written down before it is played."""

from dataclasses import dataclass

GROUPS_APART_S = 120
WATCHED_AFTER_S = 540
"""Three minutes to resolve, five until Alertmanager sends that, and a minute more."""


@dataclass(frozen=True, slots=True)
class Truth:
    """What breaks, how it is cured, and what poolscope must show and send meanwhile.

    The `name` is also the name of the service. `diagnosis` lists the right diagnoses; in their
    place it may have the id of a configuration check, or a state of the server such as `down`.
    Without any, `undiagnosed` says why none is due. `alerts` lists the right names. Without any, no
    message is right. `severity` is required of the first message if given. Before the incident,
    everything is well for `well_s`. `evidence_after_s` is the time until there can be evidence, by
    design, and `told_after_s` the same for the alert, if its rule needs more than the diagnosis.
    """

    name: str
    broken: str
    cure: str
    diagnosis: tuple[str, ...]
    alerts: tuple[str, ...]
    severity: str = ""
    undiagnosed: str = ""
    evidence_after_s: float = 0.0
    told_after_s: float = 0.0
    well_s: float = 60.0
    lasts_s: float = 300.0
    watched_after_s: float = WATCHED_AFTER_S
    group: int = 0

    @property
    def title(self) -> str:
        """Return the name as a reader wants it."""
        return self.name.replace("-", " ")

    @property
    def starts_s(self) -> float:
        """Return the number of seconds after which the incident's group starts."""
        return self.group * GROUPS_APART_S

    @property
    def is_harmless(self) -> bool:
        """Return whether nothing is wrong, so that any message is one too many."""
        return not self.alerts


def truth_from(read: dict[str, object]) -> Truth:
    """Return the truth that was written as JSON, where tuples are lists."""
    listed = {
        key: tuple(value) if isinstance(value, list) else value for key, value in read.items()
    }
    return Truth(**listed)  # type: ignore[arg-type]  # the keywords vary
