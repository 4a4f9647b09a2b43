"""Read what the alerts add to the documented thresholds, and where their links lead."""

import math
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any


class WrongTuningError(Exception):
    """The file is wrong; the message has all that is, with the accepted range."""


@dataclass(frozen=True, slots=True)
class Tuning:
    """The numbers of `alerts/rules.toml`, which says what each means; times are seconds."""

    runbook_base: str
    dashboard_base: str
    page_base: str
    near_exhaustion_share: float
    predicted_from_share: float
    prediction_s: float
    stuck_s: float
    slow_share: float
    slow_least: float
    queued_share: float
    queued_least: float
    connect_failing_share: float
    connect_failing_least: float
    connect_recent_s: float
    connect_slow_share: float
    connect_slow_least: float
    timeouts_least: float
    deadlocked_s: float
    loop_blocked_share: float
    settling_s: float
    leak_out_s: float
    leak_share: float
    leak_rate_s: float
    leak_ahead_s: float
    event_window_s: float
    growth_tolerance: float
    keep_firing_s: float
    lasting_s: float
    lasting_share: float
    blind_s: float
    known_s: float
    remembered_s: float


def load_tuning(path: Path) -> Tuning:
    """Return what the file says; every key must be there. Raises WrongTuningError."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise WrongTuningError(f"{path}: must be a TOML file that can be read: {exc}") from None
    problems = list(_problems(values))
    if problems:
        raise WrongTuningError("; ".join(f"{path}: {problem}" for problem in problems))
    return Tuning(**values)


def _problems(values: Mapping[str, Any]) -> Iterator[str]:
    names = [field.name for field in fields(Tuning)]
    for name in names:
        if problem := _problem(name, values.get(name)):
            yield f"{name}: {problem}"
    for name in set(values) - set(names):
        yield f"{name}: is not a setting; they are {', '.join(names)}"


def _problem(name: str, value: object) -> str | None:
    if name.endswith("_base"):
        is_url = isinstance(value, str) and value.startswith(("http://", "https://"))
        return None if is_url else "must be an http or https URL"
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or value <= 0:  # type: ignore[operator,arg-type]
        return "must be a number above 0"
    if name.endswith("_share") and value > 1:  # type: ignore[operator]
        return "must be a share, above 0 and at most 1"
    return None
