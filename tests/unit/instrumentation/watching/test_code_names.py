"""Calls have public names, and libraries are not taken for the application."""

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import anyio.to_thread
import httpx
import pytest
import requests
from sqlalchemy.ext.asyncio import AsyncSession

from poolscope.watching.builtin_calls import builtin_call
from poolscope.watching.code_names import CodeNames, is_database

SITE = "/srv/venv/lib/python3.11/site-packages"


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (httpx.AsyncClient.get, "httpx.AsyncClient.get"),
        (requests.get, "requests.get"),
        (requests.Session.get, "requests.Session.get"),
        (asyncio.sleep, "asyncio.sleep"),
        (asyncio.Lock.acquire, "asyncio.Lock.acquire"),
        (asyncio.wait_for, "asyncio.wait_for"),
        (subprocess.run, "subprocess.run"),
        (threading.Event.wait, "threading.Event.wait"),
        (anyio.to_thread.run_sync, "anyio.to_thread.run_sync"),
        (AsyncSession.execute, "sqlalchemy.ext.asyncio.AsyncSession.execute"),
    ],
)
def test_a_call_has_the_name_under_which_its_package_offers_it(
    function: Callable[..., object], name: str
) -> None:
    assert CodeNames().name_of(function.__code__) == name


def test_what_waits_for_the_database_is_known_by_its_library() -> None:
    assert is_database("sqlalchemy.ext.asyncio.AsyncSession.execute")
    assert is_database("django.db.models.QuerySet.get")
    assert not is_database("django.http.HttpResponse.close")
    assert not is_database("httpx.get")


def test_an_unknown_installed_package_is_a_library_until_it_takes_a_connection() -> None:
    names = CodeNames()
    own, other = f"{SITE}/shop/orders.py", f"{SITE}/weird/client.py"
    assert not names.is_application(own)
    names.add_site(own)
    assert names.is_application(own)
    assert names.is_application(f"{SITE}/shop/payments.py")
    assert not names.is_application(other)
    assert names.may_be_application(other)
    assert names.is_application("/srv/app/main.py")
    assert not names.may_be_application(f"{SITE}/httpx/_client.py")
    assert not names.may_be_application(str(Path(asyncio.__file__)))


def a_thread_in(call: Callable[[], object]) -> str | None:
    """Return what a thread calls after it came to rest in this function."""
    started = threading.Event()

    def runs() -> None:
        started.set()
        call()

    thread = threading.Thread(target=runs)
    thread.start()
    started.wait()
    found = None
    while thread.is_alive() and found is None:
        frame = sys._current_frames().get(thread.ident or 0)
        if frame is not None and frame.f_code is getattr(call, "__code__", None):
            found = builtin_call(frame, frame.f_lasti)
    thread.join()
    return found


def test_a_builtin_function_is_named_by_its_module() -> None:
    def sleeps() -> None:
        time.sleep(0.5)

    assert a_thread_in(sleeps) == "time.sleep"


def test_a_method_of_an_expression_has_no_name() -> None:
    taken = threading.Lock()
    taken.acquire()

    def waits() -> None:
        [taken][0].acquire(timeout=0.5)

    assert a_thread_in(waits) is None
