import asyncio
import gc
import sys
import sysconfig
from collections.abc import Callable, Generator

import pytest
import sqlalchemy.pool.base
import starlette.routing
from sqlalchemy import Engine, QueuePool, create_engine, text
from sqlalchemy.orm import Session

import poolscope.recording.callsite
from poolscope.recording.callsite import UNKNOWN_SITE, find_site, is_library, shorten
from support.applications.apps import instrumented

PACKAGES = sysconfig.get_path("purelib")
STANDARD = sysconfig.get_path("stdlib")


@pytest.mark.parametrize(
    ("filename", "library"),
    [
        ("/srv/app/orders.py", False),
        (f"{PACKAGES}/our_company_shop/orders.py", False),
        (sqlalchemy.pool.base.__file__, True),
        (starlette.routing.__file__, True),
        (poolscope.recording.callsite.__file__, True),
        ("/srv/app/sqlalchemy/orders.py", False),
        ("/srv/databases/orders.py", False),
        (f"{STANDARD}/contextlib.py", True),
        ("<string>", True),
        ("<sqlalchemy generated 1>", True),
    ],
)
def test_library_code_is_not_a_call_site(filename: str, library: bool) -> None:
    assert is_library(filename) is library


def test_the_site_is_the_calling_line() -> None:
    site = find_site(sys._getframe())
    place = site.place
    assert place is not None
    assert place[0].endswith("test_callsite.py")
    assert place[1] == sys._getframe().f_lineno - 4
    assert place[2] == "test_the_site_is_the_calling_line"


def test_equal_places_are_one_site() -> None:
    sites = {find_site(sys._getframe()) for _ in range(3)}
    assert len(sites) == 1


def test_no_application_frame_means_an_unknown_site() -> None:
    assert find_site(None) is UNKNOWN_SITE
    assert UNKNOWN_SITE.place is None
    assert UNKNOWN_SITE.label == "other"


async def test_whoever_started_the_event_loop_is_no_call_site() -> None:
    sites = []

    class Looked:
        """Awaitable without a frame of the application."""

        def __await__(self) -> Generator[None, None, None]:
            sites.append(find_site(sys._getframe(1)))
            yield from ()

    await asyncio.wait_for(asyncio.gather(asyncio.ensure_future(Looked())), 60)
    assert sites == [UNKNOWN_SITE]


def test_a_path_starts_at_its_import_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", ["/srv", "/srv/app"])
    assert shorten("/srv/app/orders/api.py") == "orders/api.py"
    assert shorten("/elsewhere/x.py") == "/elsewhere/x.py"


def test_a_checkout_deep_inside_the_orm_names_the_line_of_the_application() -> None:
    with instrumented(held_after_s=0) as readings:
        engine = create_engine("sqlite://")
        with Session(engine) as session:
            session.execute(text("select 1"))
            line = sys._getframe().f_lineno - 1
            [checkout] = readings.instrumentation.registry.pools[0].stats.open_checkouts()
            place = checkout.site.place
        engine.dispose()
    assert place is not None
    assert place[1] == line


@pytest.mark.parametrize(
    "ask",
    [
        lambda engine: engine.connect(),
        lambda engine: engine.raw_connection(),
        lambda engine: engine.pool.connect(),
    ],
    ids=["engine.connect", "engine.raw_connection", "pool.connect"],
)
def test_whatever_way_leads_to_the_pool_its_call_is_named(ask: Callable[[Engine], object]) -> None:
    with instrumented(held_after_s=0) as readings:
        engine = create_engine("sqlite://", poolclass=QueuePool)
        places = []
        for _ in range(2):  # a place that is known is found by another way
            connection = ask(engine)
            [checkout] = readings.instrumentation.registry.pools[0].stats.open_checkouts()
            places.append(checkout.site.place)
            del connection
            gc.collect()
        engine.dispose()
    assert places[0] is not None
    assert places[0] == places[1]
    assert places[0][0].endswith("test_callsite.py")
    assert places[0][2].endswith("<lambda>")
    assert places[0][1] == ask.__code__.co_firstlineno
