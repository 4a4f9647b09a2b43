"""Gather the processes whose pools are configured alike: a fleet is read as a few lines."""

import json
from collections.abc import Iterable
from typing import Any

from poolscope_exporter.web.rows import Row

_NAMES = ("service_namespace", "service", "pool", "db_namespace", "server_address", "server_port")


def alike(pools: Iterable[Row]) -> list[dict[str, Any]]:
    """Return a row for all processes of which the pool's name and all its checks are equal.

    A row has the names, how many `processes` there are, one of their `service_instance_id`, and
    `config_checks`.
    """
    found: dict[str, dict[str, Any]] = {}
    for pool in pools:
        told = {name: pool[name] for name in _NAMES}
        checks = pool["config_checks"]
        row = found.setdefault(
            json.dumps([told, checks]),
            {**told, "service_instance_id": pool["service_instance_id"], "processes": 0}
            | {"config_checks": checks},
        )
        row["processes"] += 1
    return list(found.values())
