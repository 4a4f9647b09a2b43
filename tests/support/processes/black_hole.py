"""A TCP proxy that can stop forwarding without closing: a network that is cut off or slow."""

import asyncio
import contextlib
from types import TracebackType
from typing import Self

from support.processes.accepting import stop_accepting


class BlackHole:
    """Forwards to a port of this machine, unless it was told to swallow or to keep everything."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._is_swallowing = False
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []

    @property
    def port(self) -> int:
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def swallow(self) -> None:
        self._is_swallowing = True

    def forward(self) -> None:
        """Forward again; what was swallowed is lost."""
        self._is_swallowing = False

    def stall(self) -> None:
        """Keep everything until `resume` is called: a network or server that is very slow."""
        self._flowing.clear()

    def resume(self) -> None:
        """Deliver what was kept, and all that comes."""
        self._flowing.set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await stop_accepting(self._server)
        for task in self._tasks:
            task.cancel()
        for writer in self._writers:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        accepting = asyncio.current_task()
        assert accepting is not None
        self._tasks.add(accepting)  # it may end before the connection behind is open
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        except asyncio.CancelledError:
            return  # what asyncio does with a handler that was cancelled is an error of its own
        self._writers.append(far_writer)
        for source, target in ((reader, far_writer), (far_reader, writer)):
            task = asyncio.create_task(self._pump(source, target))
            self._tasks.add(task)

    async def _pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                await self._flowing.wait()
                if not self._is_swallowing:
                    target.write(data)
                    await target.drain()
            await self._flowing.wait()
            if not self._is_swallowing:
                target.close()
