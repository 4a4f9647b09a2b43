"""C6: a probe is sent before a NAT or a proxy ends the connection, and the cure fits the driver."""

from dataclasses import replace

import pytest

from poolscope import catalogue
from poolscope.catalogue import StatementSetting
from poolscope_exporter.core.checks.connection_life import check_keepalive
from poolscope_exporter.core.checks.model import CheckId, ConfigCheck, PoolSettings, Result
from poolscope_exporter.core.checks.thresholds import DEFAULTS, ThresholdId
from poolscope_exporter.core.fleet.fleet import Fleet
from poolscope_exporter.core.judging.assessment import assess
from poolscope_exporter.core.linking.confirmation import Confirmations
from poolscope_exporter.core.model.idle_timeouts import IdleSource, IdleTimeout, declared
from support.exporter.builders import a_point, a_pool, a_push

OK, WARN, UNKNOWN = Result.OK, Result.WARN, Result.UNKNOWN
ROW = DEFAULTS[ThresholdId.C6]
NAT = declared(None, 900.0)
PROXY = declared(400.0, None)
RECOGNISED = (IdleTimeout(IdleSource.RECOGNISED, None, "RDS Proxy"),)
BOUNCER = (IdleTimeout(IdleSource.PGBOUNCER, 60.0, "bouncer"),)
POOL = PoolSettings(library="sqlalchemy", driver="psycopg", pool_class="QueuePool")


def judged(
    keepalive_s: float | None,
    timeouts: tuple[IdleTimeout, ...] = NAT,
    pool: PoolSettings = POOL,
    *,
    is_local: bool = False,
) -> ConfigCheck | None:
    pool = replace(pool, keepalive_s=keepalive_s)
    return check_keepalive(pool, timeouts, ROW, is_local=is_local)


def the_cure(library: str, driver: str, timeouts: tuple[IdleTimeout, ...]) -> str:
    pool = PoolSettings(library=library, driver=driver, pool_class="QueuePool")
    check = judged(7200.0, timeouts, pool)
    assert check is not None
    assert check.result is WARN
    return check.cure or ""


@pytest.mark.parametrize("timeouts", [NAT, PROXY, RECOGNISED, BOUNCER + NAT])
@pytest.mark.parametrize(
    ("keepalive_s", "expected"),
    [
        (None, UNKNOWN),
        (0.0, WARN),
        (299.0, WARN),
        (300.0, OK),
        (600.0, OK),
        (601.0, WARN),
        (7200.0, WARN),
    ],
)
def test_probes_come_after_5_to_10_minutes(
    timeouts: tuple[IdleTimeout, ...], keepalive_s: float | None, expected: Result
) -> None:
    check = judged(keepalive_s, timeouts)
    assert check is not None
    assert (check.result, check.value) == (expected, "off" if keepalive_s == 0 else keepalive_s)


@pytest.mark.parametrize(
    "timeouts", [(), declared(0.0, 0.0), BOUNCER], ids=["none", "declared as none", "PgBouncer"]
)
def test_nothing_is_judged_where_no_nat_and_no_proxy_could_see_a_probe(
    timeouts: tuple[IdleTimeout, ...],
) -> None:
    assert judged(7200.0, timeouts) is None


def test_nothing_is_judged_if_no_connection_is_kept() -> None:
    assert judged(7200.0, NAT, replace(POOL, pool_class="NullPool")) is None


@pytest.mark.parametrize(
    ("address", "is_judged"),
    [
        ("db.example", True),
        ("10.0.0.5", True),
        ("", True),
        ("localhost", False),
        ("127.0.0.1", False),
        ("127.0.0.53", False),
        ("[::1]", False),
        ("::ffff:127.0.0.1", False),
        ("/var/run/postgresql", False),
        ("/cloudsql/shop:europe-west1:main", False),
        ("@abstract", False),
    ],
)
def test_nothing_is_judged_on_loopback_or_a_unix_socket(address: str, is_judged: bool) -> None:
    pool = a_pool(server_address=address)
    fleet = Fleet()
    point = a_point(catalogue.POOL_KEEPALIVE, 7200.0, pool=pool)
    fleet.record_push(a_push(point, instance=pool.instance), 100.0)
    [state] = assess(fleet, Confirmations(), [], 101.0, configured_idle=NAT).pools
    assert [c.result for c in state.checks if c.check_id is CheckId.C6] == [WARN] * is_judged


@pytest.mark.parametrize(
    ("nat_s", "keepalive_s", "expected", "safe_range", "wanted"),
    [
        (1200.0, 600.0, OK, "300 to 600 s", None),
        (600.0, 600.0, WARN, "300 to 599 s", 300),
        (350.0, 349.0, OK, "300 to 349 s", None),
        (350.0, 350.0, WARN, "300 to 349 s", 300),
        (240.0, 239.0, OK, "1 to 239 s", None),
        (240.0, 300.0, WARN, "1 to 239 s", 120),
        (240.0, 0.5, WARN, "1 to 239 s", 120),
    ],
)
def test_a_nat_sees_a_probe_before_it_drops_the_connection(
    nat_s: float, keepalive_s: float, expected: Result, safe_range: str, wanted: int | None
) -> None:
    check = judged(keepalive_s, declared(None, nat_s))
    assert check is not None
    assert (check.result, check.safe_range) == (expected, safe_range)
    assert check.cure == (
        None
        if wanted is None
        else f'create the engine with connect_args={{"keepalives_idle": {wanted}}}: '
        f"the NAT drops connections that are unused for {nat_s:g} s"
    )


@pytest.mark.parametrize(
    ("library", "driver", "cure"),
    [
        ("sqlalchemy", "psycopg", 'create the engine with connect_args={"keepalives_idle": 300}'),
        ("sqlalchemy", "psycopg2", 'create the engine with connect_args={"keepalives_idle": 300}'),
        ("psycopg_pool", "psycopg", 'create the pool with kwargs={"keepalives_idle": 300}'),
        (
            "asyncpg",
            "asyncpg",
            'create the pool with server_settings={"tcp_keepalives_idle": "300"}',
        ),
        (
            "sqlalchemy",
            "asyncpg",
            (
                "create the engine with "
                'connect_args={"server_settings": {"tcp_keepalives_idle": "300"}}'
            ),
        ),
        ("sqlalchemy", "", "set the keepalive of the driver's sockets to 300 s"),
        ("", "psycopg", "set the keepalive of the driver's sockets to 300 s"),
    ],
)
def test_the_cure_is_that_of_the_library_and_its_driver(
    library: str, driver: str, cure: str
) -> None:
    assert the_cure(library, driver, NAT) == (
        f"{cure}: the NAT drops connections that are unused for 900 s"
    )


@pytest.mark.parametrize("timeouts", [PROXY, RECOGNISED, BOUNCER + NAT])
def test_behind_a_proxy_asyncpg_cannot_leave_the_probes_to_the_server(
    timeouts: tuple[IdleTimeout, ...],
) -> None:
    for library in ("asyncpg", "sqlalchemy"):
        cure = the_cure(library, "asyncpg", timeouts)
        assert cure.startswith("set SO_KEEPALIVE and TCP_KEEPIDLE=300 on asyncpg's socket, in a ")
        assert "server_settings" not in cure


@pytest.mark.parametrize(
    ("keepalive_s", "why"),
    [
        (0.0, '"keepalives": 1, "keepalives_idle": 300}: no probe is sent now'),
        (60.0, "probes after 60 s are more than a proxy needs"),
        (7200.0, "the first probe is sent only after 7200 s"),
    ],
)
def test_the_cure_has_the_value_that_was_found(keepalive_s: float, why: str) -> None:
    check = judged(keepalive_s, PROXY)
    assert check is not None
    assert (check.cure or "").endswith(why)


@pytest.mark.parametrize(
    ("setting", "driver"),
    [
        (StatementSetting.STATEMENT_CACHE_SIZE, "asyncpg"),
        (StatementSetting.PREPARE_THRESHOLD, "psycopg"),
        (None, "psycopg2"),
    ],
)
@pytest.mark.parametrize("is_on", [0, 1])
def test_the_driver_follows_from_the_settings_that_its_connections_report(
    setting: StatementSetting | None, driver: str, is_on: int
) -> None:
    pool = a_pool(server_address="db.example")
    points = [
        a_point(catalogue.POOL_INFO, 1, pool=pool, attributes={catalogue.LIBRARY: "sqlalchemy"}),
        a_point(
            catalogue.POOL_PREPARED_STATEMENTS,
            is_on,
            pool=pool,
            attributes={catalogue.SETTING: setting.value} if setting else {},
        ),
    ]
    fleet = Fleet()
    fleet.record_push(a_push(*points, instance=pool.instance), 100.0)
    assert [numbers.driver for numbers in fleet.pools(101.0).values()] == [driver]
