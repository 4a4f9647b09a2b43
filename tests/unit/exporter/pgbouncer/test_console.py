"""What a bouncer refuses to tell is unknown; nothing else is lost by it."""

import pytest
from psycopg.rows import DictRow

from poolscope_exporter.core.model.pgbouncers import PoolMode
from poolscope_exporter.pgbouncer.console import PgBouncerConsole
from poolscope_exporter.polling.dsn import parse_console_dsn
from poolscope_exporter.polling.errors import Reason, ServerUnavailableError

ANSWERS: dict[str, list[DictRow]] = {
    "SHOW CONFIG": [
        {"key": "max_client_conn", "value": "100"},
        {"key": "client_idle_timeout", "value": "300"},
        {"key": "pool_mode", "value": "transaction"},
        {"key": "max_prepared_statements", "value": "0"},
    ],
    "SHOW DATABASES": [
        {"name": "orders", "pool_size": 20, "reserve_pool": 0, "pool_mode": "session"}
    ],
    "SHOW USERS": [{"name": "shop", "max_user_connections": 7}],
}


class Console(PgBouncerConsole):
    """A console that refuses some commands, or is lost by them."""

    def __init__(self, *refused: str, reason: Reason = Reason.PERMISSION) -> None:
        super().__init__(parse_console_dsn("host=10.0.0.2"))
        self._refused = refused
        self._reason = reason

    @property
    def is_connected(self) -> bool:
        return self._reason is not Reason.TERMINATED

    async def _fetch(self, command: str) -> list[DictRow]:
        if command in self._refused:
            raise ServerUnavailableError(self._reason, "not allowed")
        return ANSWERS[command]


async def test_what_is_not_refused_is_told() -> None:
    facts = await Console("SHOW DATABASES", "SHOW USERS").facts()
    assert facts.timeouts_s == {"client_idle_timeout": 300.0}
    assert facts.limits is not None
    assert (facts.limits.max_clients, facts.limits.databases, facts.limits.users) == (100, {}, {})


async def test_how_it_pools_is_told() -> None:
    pooling = (await Console().facts()).pooling
    assert pooling is not None
    assert pooling.modes("orders", {"shop"}) == {PoolMode.SESSION}
    assert pooling.modes("other", {"shop"}) == {PoolMode.TRANSACTION}
    assert pooling.max_prepared_statements == 0


@pytest.mark.parametrize("refused", ["SHOW DATABASES", "SHOW USERS"])
async def test_no_mode_is_known_where_another_one_may_stand_before_the_default(
    refused: str,
) -> None:
    pooling = (await Console(refused).facts()).pooling
    assert pooling is not None
    assert pooling.modes("orders", {"shop"}) == pooling.modes("other", {"shop"}) == frozenset()
    assert pooling.max_prepared_statements == 0


async def test_without_the_settings_neither_time_outs_nor_limits_are_known() -> None:
    facts = await Console("SHOW CONFIG").facts()
    assert (facts.timeouts_s, facts.limits, facts.pooling) == (None, None, None)


@pytest.mark.parametrize("reason", [Reason.TERMINATED, Reason.TIMEOUT])
async def test_a_bouncer_that_is_lost_has_refused_nothing(reason: Reason) -> None:
    with pytest.raises(ServerUnavailableError):
        await Console("SHOW USERS", reason=reason).facts()


async def test_clients_that_are_refused_are_a_failure_with_its_reason() -> None:
    with pytest.raises(ServerUnavailableError) as info:
        await Console("SHOW SOCKETS").read_sockets()
    assert info.value.reason is Reason.PERMISSION
