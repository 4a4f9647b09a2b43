"""Read the bodies of requests: decompressed, bounded in size, in time, and in sum."""

import asyncio
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Final, TypeVar

from fastapi import Request
from starlette.requests import ClientDisconnect

from poolscope_exporter.core.admission.limits import Limits
from poolscope_exporter.receiver.refusals import Outcome, RefusedError
from poolscope_exporter.threads.daemon_threads import DaemonThreads

MAX_GZIP_MEMBERS = 16
BODIES_IN_FLIGHT = 16
"""So many of the largest bodies may be here at a time; beyond that senders come again later."""

_LARGE_BODY = 64 * 1024
"""Bytes beyond which work leaves the event loop, so that others need not wait for it."""

_LARGE_GZIP = 4 * 1024
"""Gzip packs a thousand bytes into one."""

_GZIP = 16 + zlib.MAX_WBITS
_MIB = 1024 * 1024

_Result = TypeVar("_Result")


@dataclass(slots=True, eq=False)
class _Arriving:
    """A body that has not arrived whole; `deadline` ends the wait for the rest of it."""

    owner: str
    deadline: asyncio.Timeout
    contents: bytearray = field(default_factory=bytearray)
    is_cut: bool = False


class BodyReader:
    """The bodies that are being read or decoded. Large ones are unpacked one after the other.

    If they need too much room together, the largest incomplete body of the sender with most bytes
    in flight is cut. Bodies of an ordinary size are always read to their end.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._in_flight = 0
        self._arriving: list[_Arriving] = []
        self._one_at_a_time = asyncio.Lock()

    @asynccontextmanager
    async def read_body(self, request: Request, owner: str) -> AsyncIterator["RequestBody"]:
        """Give the request's body, having read no more than the limits allow.

        `owner` is the sender, by token or by address. Raises RefusedError.
        """
        is_gzip = _is_gzip(request)
        arriving = _Arriving(owner, asyncio.timeout(self._limits.body_timeout_s))
        contents = arriving.contents
        try:
            await self._receive(request, arriving)
            lock = self._one_at_a_time if _is_large(contents, is_gzip) else nullcontext()
            yield RequestBody(bytes(contents), is_gzip, lock, self._limits.max_decompressed)
        finally:
            self._in_flight -= len(contents)

    async def _receive(self, request: Request, arriving: _Arriving) -> None:
        self._arriving.append(arriving)
        try:
            async with arriving.deadline:
                await self._fill(request, arriving)
        except TimeoutError:
            if arriving.is_cut:
                raise _busy() from None
            message = f"the body did not arrive within {self._limits.body_timeout_s:g} s"
            raise RefusedError(Outcome.TOO_SLOW, message) from None
        except ClientDisconnect:
            raise RefusedError(Outcome.MALFORMED, "the sender went away") from None
        finally:
            self._arriving.remove(arriving)

    async def _fill(self, request: Request, arriving: _Arriving) -> None:
        largest, contents = self._limits.max_body, arriving.contents
        declared = request.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > largest:
            raise too_large(largest)
        async for chunk in request.stream():
            contents += chunk
            self._in_flight += len(chunk)
            if len(contents) > largest:
                raise too_large(largest)
            if self._in_flight > BODIES_IN_FLIGHT * largest and len(contents) > _LARGE_BODY:
                self._make_room()
            if arriving.is_cut:
                raise _busy()

    def _make_room(self) -> None:
        """Cut the largest incomplete body of the sender that has most bytes in flight.

        Bodies of an ordinary size are not cut, so a sender that has only these keeps all.
        """
        large = [each for each in self._arriving if len(each.contents) > _LARGE_BODY]
        by_owner: Counter[str] = Counter()
        for each in large:
            by_owner[each.owner] += len(each.contents)
        [(owner, _)] = by_owner.most_common(1)
        largest = max(
            (each for each in large if each.owner == owner), key=lambda each: len(each.contents)
        )
        largest.is_cut = True
        self._in_flight -= len(largest.contents)
        largest.contents.clear()
        if not largest.deadline.expired():  # else it ends by itself, and cannot be changed
            largest.deadline.reschedule(asyncio.get_running_loop().time())


def _busy() -> RefusedError:
    return RefusedError(Outcome.OVERLOADED, "the exporter is busy; try again later")


class RequestBody:
    """One body that has arrived; what is large waits for its turn before it is unpacked."""

    def __init__(
        self,
        contents: bytes,
        is_gzip: bool,
        turn: "asyncio.Lock | nullcontext[None]",
        max_decompressed: int,
    ) -> None:
        self._contents = contents
        self._is_gzip = is_gzip
        self._turn = turn
        self._max_decompressed = max_decompressed

    async def decode_with(self, decode: Callable[[bytes], _Result]) -> _Result:
        """Return what `decode` makes of the decompressed body; raises RefusedError."""
        async with self._turn:
            contents = self._contents
            if self._is_gzip:
                contents = await _off_loop(self._decompressed, contents)
            return await _off_loop(decode, contents)

    def _decompressed(self, body: bytes) -> bytes:
        return decompress(body, self._max_decompressed)


def decompress(body: bytes, limit: int) -> bytes:
    """Return the contents of a gzip file, its members one after the other, never beyond the limit.

    Raises RefusedError.
    """
    contents = bytearray()
    for _ in range(MAX_GZIP_MEMBERS):
        if not body:
            return bytes(contents)
        member = zlib.decompressobj(_GZIP)
        try:
            contents += member.decompress(body, limit + 1 - len(contents))
        except zlib.error as exc:
            raise RefusedError(Outcome.MALFORMED, "the body is not gzip") from exc
        if len(contents) > limit:
            raise too_large(limit)
        if not member.eof:
            raise RefusedError(Outcome.MALFORMED, "the body is gzip that ends too early")
        body = member.unused_data
    raise RefusedError(Outcome.MALFORMED, "the body is gzip of too many members")


def too_large(limit: int) -> RefusedError:
    """Return the refusal of a body beyond a limit in bytes."""
    message = f"the body exceeds {limit / _MIB:g} MiB; send smaller requests"
    return RefusedError(Outcome.TOO_LARGE, message)


def _is_gzip(request: Request) -> bool:
    compression = request.headers.get("content-encoding", "identity").strip().lower()
    if compression not in ("identity", "gzip"):
        raise RefusedError(Outcome.UNSUPPORTED, "the Content-Encoding must be gzip or identity")
    return compression == "gzip"


def _is_large(contents: bytearray, is_gzip: bool) -> bool:
    return len(contents) > (_LARGE_GZIP if is_gzip else _LARGE_BODY)


_DECODING: Final = DaemonThreads("decoding", 2)


async def _off_loop(work: Callable[[bytes], _Result], body: bytes) -> _Result:
    """Return the work's result; where the body is large, compute it beside the event loop."""
    if len(body) > _LARGE_BODY:
        return await _DECODING.run(work, body)
    return work(body)
