"""`poolscope-exporter top` against a running exporter: its outputs, tokens, and a restart."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from poolscope import catalogue
from poolscope_exporter.commands.audit import Question
from poolscope_exporter.commands.top_source import ExporterSource
from poolscope_exporter.terminal.live.keyed_table import KeyedTable
from poolscope_exporter.terminal.live.pool_screen import PoolScreen
from poolscope_exporter.terminal.live.top_app import TopApp
from poolscope_exporter.terminal.watch import PoolWatch
from support.exporter.exporter_process import ExporterProcess, run_to_the_end
from support.exporter.otlp_messages import POOL, a_marker, a_request, gauges, number

TOKEN = "t0k3n-of-the-exporter"
NEVER_S = 3600.0
LEAKS = 4
INTERVAL_S = 60.0
"""On a busy machine, a command takes seconds to start: its pool must not be gone by then."""


def a_push(sequence: int = 1) -> bytes:
    """Return a push that lists the leaked checkouts of one process."""
    leaked = (
        number(10.0, {**POOL, catalogue.CHECKOUT_ID: n, catalogue.EVIDENCE: "request_finished"})
        for n in range(1, LEAKS + 1)
    )
    return a_request(
        push=(
            a_marker(sequence, **{catalogue.PUSH_INTERVAL: INTERVAL_S}),
            gauges(catalogue.CHECKOUT_AGE.name, *leaked),
            gauges(catalogue.CHECKOUTS_HELD.name, number(LEAKS)),
            gauges(catalogue.CHECKOUTS_LISTED.name, number(LEAKS)),
        )
    ).SerializeToString()


@contextmanager
def a_source(address: str) -> Iterator[ExporterSource]:
    source = ExporterSource(Question(address), {})
    try:
        yield source
    finally:
        source.close()


async def test_the_views_read_a_real_exporter_and_outlive_its_restart() -> None:
    with ExporterProcess() as exporter:
        assert exporter.push(a_push()).status_code == 200
        address = exporter.web
        with a_source(address) as source:
            app = TopApp(PoolWatch(address, NEVER_S), source)
            async with app.run_test(size=(160, 40)) as pilot:

                async def read() -> str:
                    await pilot.press("r")
                    await app.workers.wait_for_complete()
                    await pilot.pause()
                    return str(app.screen.query_one("#problem").render())

                assert await read() == ""
                table = app.screen.query_one("#pools", KeyedTable)
                assert table.get_row_at(0)[0].plain == "acme/shop / orders"
                await pilot.press("enter")
                await pilot.pause()
                assert isinstance(app.screen, PoolScreen)
                holders = app.screen.query_one("#holders", KeyedTable)
                assert holders.get_row_at(0)[2].plain == str(LEAKS)
                await pilot.press("y", "b")
                assert app.clipboard.startswith(f"{LEAKS} connections of pool orders of shop")
                await pilot.press("escape", "p", "escape", "escape")

                exporter.process.kill()
                exporter.process.wait()
                assert "does not answer" in await read()
                assert table.row_count == 1
                with ExporterProcess(f"--listen=127.0.0.1:{urlsplit(address).port}") as again:
                    assert again.push(a_push(2)).status_code == 200
                    assert await read() == ""
                    assert table.row_count == 1


def test_a_wrong_token_is_one_line_with_the_cure(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text(f"{TOKEN} shop\n")
    with ExporterProcess("--token-file", str(tokens)) as exporter:
        assert exporter.push(a_push(), token=TOKEN).status_code == 200
        for output in ("--once", "--json"):
            refused = run_to_the_end(
                "top", "--url", exporter.web, output, POOLSCOPE_TOKEN="wrong-token-of-a-reader"
            )
            [line] = refused.stderr.splitlines()
            assert (refused.returncode, refused.stdout) == (1, "")
            assert "pass its token by --token-file or POOLSCOPE_TOKEN" in line
        right = run_to_the_end("top", "--url", exporter.web, "--once", POOLSCOPE_TOKEN=TOKEN)
        assert right.returncode == 0, right.stderr
        assert re.search(r"^acme/shop / orders +leaking ", right.stdout, re.MULTILINE)


def test_json_is_what_the_api_answers() -> None:
    with ExporterProcess() as exporter:
        assert exporter.push(a_push()).status_code == 200
        done = run_to_the_end("top", "--url", exporter.web, "--json")
    assert done.returncode == 0, done.stderr
    merged = json.loads(done.stdout)
    assert merged["missing"] == {}
    assert [pool["pool"] for pool in merged["pools"]] == ["orders"]
    assert len(merged["checkouts"]) == LEAKS
    assert {"blockers", "profile", "incidents", "servers", "withheld", "taken_at"} <= merged.keys()
