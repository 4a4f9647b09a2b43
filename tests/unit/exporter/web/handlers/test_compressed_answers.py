"""gzip where the reader accepts it: the same answer, smaller, and marked for caches."""

import gzip

import httpx
import pytest

from poolscope_exporter.core.judging.situation import Situation
from poolscope_exporter.listeners.compression import LEAST_BYTES
from poolscope_exporter.metrics.exposition import Exposition
from poolscope_exporter.metrics.scrape import Scrape
from poolscope_exporter.web.endpoints import create_web
from poolscope_exporter.web.sources import Sources

LARGE = ["/metrics", "/openapi.json", "/docs"]
SMALL = ["/healthz", "/readyz", "/api/v1/checkouts"]
OPENMETRICS = "application/openmetrics-text; version=1.0.0"


async def raw(path: str, method: str = "GET", **headers: str) -> tuple[httpx.Headers, bytes]:
    """Return the headers and the body as they are sent."""
    situation = Situation((), (), (), (), 100.0)
    exposition = Exposition(lambda: Scrape(situation, (), (), (), (), {}, {}))
    app = create_web(Sources(lambda: situation, exposition, lambda: True, lambda: "now"), None)
    transport = httpx.ASGITransport(app, client=("127.0.0.1", 50000))
    async with (
        httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as web,
        web.stream(method, path, headers={"Accept-Encoding": "identity", **headers}) as response,
    ):
        assert response.status_code == 200
        return response.headers, b"".join([part async for part in response.aiter_raw()])


@pytest.mark.parametrize("path", LARGE)
async def test_large_answer_is_compressed_for_a_reader_that_accepts_it(path: str) -> None:
    headers, body = await raw(path, **{"Accept-Encoding": "gzip, deflate"})

    plain_headers, plain = await raw(path)
    assert headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain_headers
    assert headers["Content-Type"] == plain_headers["Content-Type"]
    assert len(body) < len(plain)
    assert headers.get("Content-Length", str(len(body))) == str(len(body))
    assert gzip.decompress(body) == plain


@pytest.mark.parametrize("accept", ["", "identity", "br", "gzip;q=0"])
@pytest.mark.parametrize("path", LARGE)
async def test_every_other_reader_gets_the_answer_as_it_is(path: str, accept: str) -> None:
    headers, body = await raw(path, **{"Accept-Encoding": accept})

    assert "Content-Encoding" not in headers
    assert not body.startswith(b"\x1f\x8b")


@pytest.mark.parametrize("accept", ["gzip", "identity"])
@pytest.mark.parametrize("path", LARGE)
async def test_cache_is_told_that_the_answer_depends_on_the_reader(path: str, accept: str) -> None:
    headers, _ = await raw(path, **{"Accept-Encoding": accept})

    assert headers["Vary"] == "Accept-Encoding"


@pytest.mark.parametrize("path", SMALL)
async def test_small_answer_stays_as_it_is(path: str) -> None:
    headers, body = await raw(path, **{"Accept-Encoding": "gzip"})

    assert "Content-Encoding" not in headers
    assert len(body) < LEAST_BYTES


@pytest.mark.parametrize("accept", ["text/plain", OPENMETRICS])
async def test_compressed_metrics_are_one_stream_in_either_format(accept: str) -> None:
    _, body = await raw("/metrics", Accept=accept, **{"Accept-Encoding": "gzip"})

    text = gzip.decompress(body)
    assert b"\npoolscope_build_info{" in text
    assert text.endswith(b"# EOF\n") is (accept == OPENMETRICS)


async def test_scrapers_share_one_compressed_text() -> None:
    situation = Situation((), (), (), (), 100.0)
    scrape = Scrape(situation, (), (), (), (), {}, {})
    exposition = Exposition(lambda: scrape, now=lambda: 100.0)

    first, _ = await exposition.render("", is_gzip=True)
    second, _ = await exposition.render("", is_gzip=True)

    assert first is second
