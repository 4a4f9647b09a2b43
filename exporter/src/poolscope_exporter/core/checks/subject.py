"""Make the result of a check from its subject."""

from dataclasses import dataclass

from poolscope_exporter.core.checks.model import CheckId, ConfigCheck, Result


@dataclass(frozen=True, slots=True)
class CheckSubject:
    """The subject of one check: the setting, its value, and the safe range."""

    check_id: CheckId
    setting: str
    value: float | str | None
    safe_range: str

    def ok(self, note: str | None = None) -> ConfigCheck:
        """Return the result "ok", optionally with a note."""
        return self._found(Result.OK, note)

    def warn(self, cure: str) -> ConfigCheck:
        """Return the result "warn" with the change to make."""
        return self._found(Result.WARN, cure)

    def unknown(self, why: str) -> ConfigCheck:
        """Return the result "unknown" with the missing fact."""
        return self._found(Result.UNKNOWN, why)

    def judged(self, is_safe: bool, cure: str) -> ConfigCheck:
        """Return "ok" if the value is safe, else "warn" with the cure."""
        return self.ok() if is_safe else self.warn(cure)

    def _found(self, result: Result, cure: str | None) -> ConfigCheck:
        return ConfigCheck(self.check_id, result, self.setting, self.value, self.safe_range, cure)


def continued(advice: str) -> str:
    """Return a sentence for use after another; a first word that is a setting stays unchanged."""
    first, _, rest = advice.partition(" ")
    return advice if "_" in first else f"{first.lower()} {rest}"
