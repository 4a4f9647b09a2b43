"""Processes whose pools are configured alike are one row."""

from typing import Any

from poolscope_exporter.web.rows import group_by_configuration


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
