"""Let users set the limits of the receiver, each in a unit of its own and within bounds."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from poolscope_exporter.core.fleet.limits import Limits

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class LimitSetting:
    """One limit as a user sets it: `field` names the setting, `limit` what it sets in `Limits`.

    Values lie from `least` to `most`, in units of `unit`; `text` ends with the default.
    """

    field: str
    flag: str
    limit: str
    metavar: str
    text: str
    least: int
    most: int
    unit: int = 1

    @property
    def default(self) -> float:
        """Return what holds where nobody sets it."""
        return float(getattr(Limits(), self.limit)) / self.unit


def _limit(
    flag: str, metavar: str, text: str, *, to: int, field: str = "", unit: int = 1
) -> LimitSetting:
    limit = flag.removeprefix("--").replace("-", "_")
    limit += "_s" if metavar == "SECONDS" else ""
    setting = LimitSetting(field or limit, flag, limit, metavar, text, 1, to, unit)
    told = f"{text} ({setting.default:g})"
    return LimitSetting(setting.field, flag, limit, metavar, told, 1, to, unit)


LIMIT_SETTINGS = (
    _limit(
        "--max-body",
        "MIB",
        "largest body of a push, as it comes over the network",
        to=64,
        field="max_body_mib",
        unit=MIB,
    ),
    _limit(
        "--max-decompressed",
        "MIB",
        "largest body of a push, decompressed",
        to=256,
        field="max_decompressed_mib",
        unit=MIB,
    ),
    _limit("--header-timeout", "SECONDS", "time for the headers of a request to arrive", to=300),
    _limit("--body-timeout", "SECONDS", "time for the body of a request to arrive", to=300),
    _limit("--max-connections", "NUMBER", "open connections, on each listener", to=100_000),
    _limit(
        "--max-instances",
        "NUMBER",
        "application processes that are remembered, those that just ended included",
        to=100_000,
    ),
    _limit("--max-pools-per-instance", "NUMBER", "pools of one process", to=1_000),
    _limit("--max-series-per-pool", "NUMBER", "series of one pool of one process", to=10_000),
    _limit(
        "--max-series",
        "NUMBER",
        "series of all processes together, long ones as several",
        to=10_000_000,
    ),
    _limit(
        "--max-routes-per-pool",
        "NUMBER",
        "routes of one service's pool, others as other",
        to=10_000,
    ),
    _limit("--max-held-checkouts", "NUMBER", "held checkouts of all processes", to=1_000_000),
)

_BY_FIELD = {setting.field: setting for setting in LIMIT_SETTINGS}


def limit_reader(field: str) -> Callable[[object], float]:
    """Return what reads a limit's value from text; it raises ValueError with the range."""
    setting = _BY_FIELD[field]
    is_time = setting.limit.endswith("_s")
    kind = "seconds" if is_time else "a whole number"

    def read(value: object) -> float:
        message = f"must be {kind} from {setting.least} to {setting.most}"
        try:
            number = float(str(value)) if is_time else int(str(value))
        except ValueError:
            raise ValueError(message) from None
        if not setting.least <= number <= setting.most:
            raise ValueError(message)
        return number

    return read


def limits_from(values: Mapping[str, float | None]) -> Limits:
    """Return the limits; `values` (by field) are as read, None where nobody set them."""
    found = {
        setting.limit: value * setting.unit
        for setting in LIMIT_SETTINGS
        if (value := values.get(setting.field)) is not None
    }
    return Limits(**found)  # type: ignore[arg-type]  # whole numbers are read as such
