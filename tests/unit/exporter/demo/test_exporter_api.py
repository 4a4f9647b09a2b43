"""The demo reads the exporter's API as it is documented, and says so where it cannot."""

import httpx
import pytest

from poolscope_exporter.demo.errors import DemoError
from poolscope_exporter.demo.exporter_api import ExporterApi, ReportedServer

A_SERVER = {"server": "db:5432", "up": True, "reason": None, "headroom": 12}


def an_api(status: int, document: object) -> ExporterApi:
    transport = httpx.MockTransport(lambda request: httpx.Response(status, json=document))
    return ExporterApi(httpx.AsyncClient(transport=transport), "http://exporter")


async def test_fields_that_the_demo_does_not_show_are_passed_over() -> None:
    api = an_api(200, {"servers": [A_SERVER], "pools": [], "checkouts": [], "taken_at": 1.0})
    snapshot = await api.snapshot()
    assert snapshot.servers == (ReportedServer("db:5432", up=True, reason=None),)


@pytest.mark.parametrize(("status", "document"), [(500, {}), (200, {"servers": "none"})])
async def test_anything_but_a_snapshot_is_an_error_that_names_the_address(
    status: int, document: object
) -> None:
    with pytest.raises(DemoError, match="http://exporter failed"):
        await an_api(status, document).snapshot()
