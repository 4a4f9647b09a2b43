"""What `check` misses of PgBouncers that share a port: nothing once each console is named."""

import pytest

from poolscope_exporter.commands.check import missing_consoles
from poolscope_exporter.core.model.endpoints import Endpoint

ONE, TWO = Endpoint("/run/one", 6432), Endpoint("/run/two", 6432)
SHARED_PORT = Endpoint("127.0.0.1", 6432)


@pytest.mark.parametrize("sharing", [(), (ONE, TWO), (ONE, TWO, Endpoint("/run/three", 6432))])
def test_nothing_is_missing_where_each_process_is_reached_by_its_unix_socket(
    sharing: tuple[Endpoint, ...],
) -> None:
    assert list(missing_consoles(sharing)) == []


@pytest.mark.parametrize(
    "sharing",
    [(ONE,), (SHARED_PORT,), (ONE, SHARED_PORT), (ONE, TWO, SHARED_PORT)],
    ids=["one of several", "any of them", "one twice perhaps", "one twice for sure"],
)
def test_console_is_missing_where_one_process_may_answer_for_another(
    sharing: tuple[Endpoint, ...],
) -> None:
    [missing] = missing_consoles(sharing)

    assert "port 6432 (so_reuseport)" in missing


def test_each_shared_port_is_judged_by_itself() -> None:
    elsewhere = Endpoint("/run/elsewhere", 6433)

    [missing] = missing_consoles([ONE, elsewhere, TWO])

    assert "port 6433" in missing
