"""Report why callers wait outside the pools: blocked event loops, and a lack of threads."""

import threading
from collections.abc import Iterator

from poolscope import catalogue
from poolscope.pushing.samples import AttributeValue, Sample
from poolscope.watching.loop_watch import Stall
from poolscope.watching.loops import EventLoops, LoopState


def loop_samples(loops: EventLoops) -> Iterator[Sample]:
    """Yield the aggregates; no loop samples without a known loop, no thread samples without use."""
    if not loops.are_known:
        return
    yield Sample(catalogue.EVENT_LOOP_LAG, {}, loops.last_state.lag_s)
    yield Sample(catalogue.EVENT_LOOP_BLOCKED_TIME, {}, loops.blocked_s)
    threads = loops.worker_threads
    if threads is None:
        return
    yield Sample(catalogue.WORKER_THREADS, {}, threads.used)
    yield Sample(catalogue.WORKER_THREADS_PENDING, {}, threads.waiting)
    if threads.limit is not None:
        yield Sample(catalogue.WORKER_THREADS_MAX, {}, threads.limit)


def stall_samples(state: LoopState) -> Iterator[Sample]:
    """Yield the longest stall that ended since the previous push, and the current stall."""
    if state.ended is not None:
        yield _sample(state.ended, is_over=True, blocked_s=state.blocked_s)
    if state.current is not None:
        yield _sample(state.current, is_over=False, blocked_s=0.0)


def outside_causes(loops: EventLoops, now_s: float) -> list[str]:
    """Return the causes of waits outside the pool: a blocked loop, or a lack of threads."""
    current, recent, threads = loops.current_stall, loops.recent_stall(now_s), loops.worker_threads
    causes = [_describe_stall(current, is_over=False)] if current else []
    if recent is not None and not current:
        causes.append(_describe_stall(recent, is_over=True))
    if threads is not None and threads.waiting:
        limit = "?" if threads.limit is None else threads.limit
        used = f"{threads.used} of {limit} worker threads in use"
        causes.append(f"{used}, {threads.waiting} requests wait for one")
    return causes


def _describe_stall(stall: Stall, *, is_over: bool) -> str:
    """Return which loop was blocked, for how long, and at which line."""
    verb, place = "did" if is_over else "has", stall.place
    line = f": {place[0]}:{place[1]} in {place[2]}" if place else ""
    thread = _thread_name(stall.ident)
    return f"the event loop in {thread} {verb} not run for {stall.lasted_s:.1f} s{line}"


def _sample(stall: Stall, *, is_over: bool, blocked_s: float) -> Sample:
    attributes: dict[str, AttributeValue] = {
        catalogue.STALL_IS_OVER: is_over,
        catalogue.BLOCKED_TIME: blocked_s,
        catalogue.THREAD_NAME: _thread_name(stall.ident),
    }
    if stall.place is not None:
        attributes[catalogue.CODE_FILE_PATH] = stall.place[0]
        attributes[catalogue.CODE_LINE_NUMBER] = stall.place[1]
        attributes[catalogue.CODE_FUNCTION_NAME] = stall.place[2]
    return Sample(catalogue.EVENT_LOOP_STALL, attributes, stall.lasted_s)


def _thread_name(ident: int) -> str:
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    return names.get(ident, "a thread that ended")
