"""The live pages of any situation, served in a thread, for a browser."""

import threading
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

import uvicorn
from fastapi import Request, Response

from poolscope_exporter.metrics.exposition import Exposition
from poolscope_exporter.metrics.scrape import Scrape
from poolscope_exporter.web.console.look import Look, PoolDetails
from poolscope_exporter.web.endpoints import create_web
from poolscope_exporter.web.incidents.incident_rows import ShownIncidents
from poolscope_exporter.web.sources import Sources
from support.processes.child_processes import wait_until


class ServedPages:
    """A web listener that shows `look` and `incidents`, which a test may replace at any time.

    The method and the path of each request are in `requests`.
    """

    def __init__(self, look: Look) -> None:
        self.look = look
        self.details = PoolDetails()
        self.incidents = ShownIncidents()
        self.requests: list[tuple[str, str]] = []
        sources = Sources(
            lambda: self.look.situation,
            Exposition(lambda: Scrape(self.look.situation, (), (), (), (), {}, {})),
            lambda: True,
            lambda: self.look.taken_at,
            look=lambda: self.look,
            details=lambda _: self.details,
            incidents=lambda: self.incidents,
        )
        web = create_web(sources, None)
        web.middleware("http")(self._record_request)
        config = uvicorn.Config(
            web,
            port=0,
            lifespan="off",
            log_level="warning",
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run)

    async def _record_request(
        self, request: Request, answer: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        self.requests.append((request.method, request.url.path))
        return await answer(request)

    def __enter__(self) -> Self:
        self._thread.start()
        assert wait_until(lambda: self._server.started)
        port = self._server.servers[0].sockets[0].getsockname()[1]
        self.address = f"http://127.0.0.1:{port}"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.should_exit = self._server.force_exit = True
        self._thread.join()
