"""List every setting of the exporter, by its names."""

from collections.abc import Iterable, Sequence
from typing import Final

from poolscope_exporter.settings.declaration import PREFIX, Option, options_of
from poolscope_exporter.settings.model import ExporterSettings
from poolscope_exporter.settings.suggestions import nearest

VARIABLES_OF_THE_APP: Final = frozenset(
    PREFIX + name
    for name in (
        "ENDPOINT",
        "METRICS",
        "METRICS_OFF",
        "PUSH_INTERVAL_S",
        "HELD_AFTER_S",
        "LOG_HELD_AFTER_S",
        "LOOK",
        "PROFILE_RATE",
        "WAIT_SPAN_AFTER_S",
        "MAX_ROUTES",
        "MAX_POOLS",
        "POOL_NAMES",
        "DISABLED",
        "CA_FILE",
    )
)
"""Variables that the application's side reads: both often share one environment."""

OPTIONS: Final = options_of(ExporterSettings)

BY_FIELD: Final = {option.field: option for option in OPTIONS}


def names_of(field: str) -> str:
    """Return the flag and the variable that set a field."""
    return BY_FIELD[field].names


def unknown_variables(environ: Iterable[str], options: Sequence[Option] = OPTIONS) -> list[str]:
    """Return a warning for each `POOLSCOPE_*` variable that is no setting: often a typing error."""
    known = VARIABLES_OF_THE_APP | {option.variable for option in options}
    strangers = sorted(name for name in environ if name.startswith(PREFIX) and name not in known)
    return [f"{name} is not a setting of poolscope{nearest(name, known)}" for name in strangers]
