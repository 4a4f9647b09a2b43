"""A TCP proxy that closes connections on which nothing moved for a while, as load balancers do."""

import asyncio
import contextlib
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self

from support.processes.accepting import stop_accepting

LOOK_INTERVAL_S = 0.2


class IdleProxy:
    """Forwards to a port of this machine; with `idle_timeout_s` None it closes nothing."""

    def __init__(self, target_port: int) -> None:
        self.idle_timeout_s: float | None = None
        self.closed = 0
        self._target_port = target_port
        self._connections: list[_Connection] = []
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self._run(self._close_idle())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await stop_accepting(self._server)
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for connection in self._connections:
            connection.close()

    def _run(self, running: Coroutine[Any, Any, None]) -> None:
        self._end_with_us(asyncio.create_task(running))

    def _end_with_us(self, task: "asyncio.Task[None]") -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepting = asyncio.current_task()
        assert accepting is not None
        self._end_with_us(accepting)  # it may end before the connection behind is open
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        except (OSError, asyncio.CancelledError):
            # What asyncio does with a handler that was cancelled is an error of its own.
            writer.close()
            return
        connection = _Connection(writer, far_writer)
        self._connections.append(connection)
        self._run(connection.pump(reader, far_writer))
        self._run(connection.pump(far_reader, writer))

    async def _close_idle(self) -> None:
        while True:
            await asyncio.sleep(LOOK_INTERVAL_S)
            now_s = asyncio.get_running_loop().time()
            limit_s = self.idle_timeout_s
            for connection in tuple(self._connections):
                if limit_s is not None and now_s - connection.moved_at_s > limit_s:
                    connection.close()
                    self.closed += 1
                if connection.is_closed:
                    self._connections.remove(connection)


class _Connection:
    """Both halves of one forwarded connection."""

    def __init__(self, *writers: asyncio.StreamWriter) -> None:
        self.moved_at_s = asyncio.get_running_loop().time()
        self.is_closed = False
        self._writers = writers

    def close(self) -> None:
        self.is_closed = True
        for writer in self._writers:
            writer.close()

    async def pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                self.moved_at_s = asyncio.get_running_loop().time()
                target.write(data)
                await target.drain()
        self.close()
