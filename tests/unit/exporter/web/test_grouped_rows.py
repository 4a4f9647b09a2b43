"""Processes whose pools are configured alike are one row."""

from typing import Any

from poolscope_exporter.web.rows import group_by_configuration, group_by_server


def a_row(instance: str, *results: str, pool: str = "orders") -> dict[str, Any]:
    return {
        "service_namespace": "acme",
        "service": "shop",
        "pool": pool,
        "db_namespace": "orders",
        "server_address": "10.0.0.1",
        "server_port": 5432,
        "service_instance_id": instance,
        "process": f"node-1:{instance}",
        "used": len(instance),
        "config_checks": [{"check_id": "C1", "result": each} for each in results],
    }


def test_processes_that_differ_in_nothing_but_their_load_are_one_row() -> None:
    [row] = group_by_configuration([a_row("a", "ok"), a_row("bb", "ok"), a_row("ccc", "ok")])
    assert (row["processes"], row["service_instance_id"], row["process"]) == (3, "a", "node-1:a")
    assert "used" not in row


def test_other_findings_or_another_pool_are_rows_of_their_own() -> None:
    rows = group_by_configuration(
        [a_row("a", "ok"), a_row("b", "warn"), a_row("c", "ok", pool="users")]
    )
    assert [row["processes"] for row in rows] == [1, 1, 1]


def a_shared_row(pool: str, result: str, *, port: int | None = 5432) -> dict[str, Any]:
    checks = [{"check_id": "C1", "result": "ok"}, {"check_id": "C7", "result": result}]
    return a_row(pool, pool=pool) | {"config_checks": checks, "server_port": port}


def test_finding_on_a_server_is_one_row_for_all_its_pools() -> None:
    pools = [a_shared_row("orders", "warn"), a_shared_row("users", "warn")]

    [finding] = group_by_server(pools)

    assert (finding["check_id"], finding["result"], finding["pools"]) == ("C7", "warn", 2)
    assert finding["addresses"] == ["10.0.0.1:5432"]
    shown = [check["check_id"] for row in group_by_configuration(pools)
             for check in row["config_checks"]]  # fmt: skip
    assert shown == ["C1", "C1"]


def test_findings_on_two_servers_are_two_rows() -> None:
    rows = group_by_server([a_shared_row("orders", "warn"), a_shared_row("users", "ok")])
    assert [(row["result"], row["pools"]) for row in rows] == [("warn", 1), ("ok", 1)]


def test_every_address_of_a_server_is_listed_once() -> None:
    pools = [a_shared_row(name, "ok", port=port) for name, port in
             (("a", 5432), ("b", 6432), ("c", 5432), ("d", None))]  # fmt: skip
    [finding] = group_by_server(pools)
    assert finding["addresses"] == ["10.0.0.1:5432", "10.0.0.1:6432", "10.0.0.1"]
