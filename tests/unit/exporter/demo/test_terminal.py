"""The terminal shows all that the demo is about, and never a number that is not known."""

from rich.console import Console

from poolscope_exporter.demo.exporter_api import ReportedServer, Snapshot
from poolscope_exporter.demo.terminal import picture
from poolscope_exporter.terminal.reported import ReportedNow
from support.exporter.reported import a_reported_checkout, a_reported_pool

A_SERVER = ReportedServer("db:5432", up=True, reason=None)


def drawn(snapshot: Snapshot) -> str:
    console = Console(width=200, force_terminal=False)
    with console.capture() as capture:
        console.print(picture(snapshot, "HEADER"))
    return capture.get()


def test_it_shows_server_pool_and_checkout() -> None:
    text = drawn(Snapshot((A_SERVER,), (a_reported_pool(),), (a_reported_checkout(),)))
    for shown in (
        "HEADER", "db:5432: up", "shop / orders", "leaking", "9 of 10", "4",
        "3 of 10 connections have leaked", "leaked", "3.2 s", "/orders/{order_id}/export",
        "shop/app.py:12", "request_finished", "4242", "idle in transaction", "address",
    ):  # fmt: skip
        assert shown in text, shown


def test_it_shows_the_line_that_keeps_a_connection() -> None:
    now = ReportedNow("waiting in httpx.get at shop/pay.py:55", "shop/pay.py", 55, "httpx.get")
    text = drawn(Snapshot((), (), (a_reported_checkout(now=now),)))
    assert "now waiting in httpx.get at shop/pay.py:55" in text


def test_a_server_that_is_down_says_why() -> None:
    down = ReportedServer("db:5432", up=False, reason="refused")
    assert "db:5432: down, refused" in drawn(Snapshot((down,), (), ()))


def test_unknown_is_a_question_mark_and_not_a_zero() -> None:
    pool = a_reported_pool(used=None, max=None, pending=None)
    checkout = a_reported_checkout(backend_pid=None, server_state=None)
    text = drawn(Snapshot((), (pool,), (checkout,)))
    assert "? of ?" in text
    assert "None" not in text


def test_the_longest_held_comes_first() -> None:
    young = a_reported_checkout(age_s=1.0, code_line=1)
    old = a_reported_checkout(age_s=9.0, code_line=2)
    text = drawn(Snapshot((), (), (young, old)))
    assert text.index("app.py:2") < text.index("app.py:1")


def test_markup_in_a_name_is_shown_as_it_is() -> None:
    checkout = a_reported_checkout(route="/a/[bold]x[/bold]")
    assert "/a/[bold]x[/bold]" in drawn(Snapshot((), (), (checkout,)))
