"""The terminal view of a snapshot: servers, pools and held checkouts as tables."""

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from poolscope_exporter.core.judging.diagnosis import Diagnosis
from poolscope_exporter.core.judging.verdicts import Verdict
from poolscope_exporter.demo.exporter_api import (
    ReportedCheckout,
    ReportedPool,
    ReportedServer,
    Snapshot,
)
from poolscope_exporter.demo.findings import place

UNKNOWN = "?"
UNSURE = "dim"
STYLES: dict[str, str] = {
    Verdict.LEAKED: "bold red",
    Verdict.LOST: "bold red",
    Verdict.BLOCKED: "red",
    Verdict.SLOW_QUERY: "yellow",
    Verdict.IDLE_IN_TRANSACTION: "magenta",
    Verdict.HELD_IDLE: "magenta",
    Verdict.STALLED: "magenta",
    Verdict.WORKING: "green",
    Diagnosis.HEALTHY: "green",
    Diagnosis.LEAKING: "bold red",
}


def picture(snapshot: Snapshot, header: str) -> RenderableType:
    """Return everything that the terminal shows of a snapshot."""
    return Group(
        Text(header),
        _servers(snapshot.servers),
        _pools(snapshot.pools),
        _checkouts(snapshot.checkouts),
    )


def _servers(servers: tuple[ReportedServer, ...]) -> RenderableType:
    lines = [
        Text.assemble(
            f"server {server.server}: ",
            ("up", "green") if server.up else (f"down, {server.reason or UNKNOWN}", "bold red"),
        )
        for server in servers
    ]
    return Group(*lines)


def _pools(pools: tuple[ReportedPool, ...]) -> RenderableType:
    if not pools:
        return Text("no application has pushed a pool yet", style=UNSURE)
    table = Table(
        "pool", "diagnosis", "used", "waiting", "why", box=box.SIMPLE_HEAD, pad_edge=False
    )
    for pool in pools:
        table.add_row(
            Text(f"{pool.service} / {pool.pool}"),
            _coloured(pool.diagnosis),
            f"{_number(pool.used)} of {_number(pool.max)}",
            _number(pool.pending),
            Text("\n".join(pool.reasons)),
        )
    return table


def _checkouts(checkouts: tuple[ReportedCheckout, ...]) -> RenderableType:
    if not checkouts:
        return Text("no checkout is held for longer than a second", style=UNSURE)
    # Each row has two lines and only the middle column shrinks, so the table fits 80 columns.
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("verdict, evidence", no_wrap=True)
    table.add_column("held", no_wrap=True, justify="right")
    table.add_column("route, line", overflow="fold")
    table.add_column("server session", no_wrap=True)
    for checkout in sorted(checkouts, key=lambda one: -one.age_s):
        table.add_row(
            Text("\n").join([_coloured(checkout.verdict), Text(checkout.evidence or "")]),
            f"{checkout.age_s:.1f} s",
            Text(_route_and_lines(checkout)),
            Text(f"{checkout.server_state or UNKNOWN}\n{_session(checkout)}"),
        )
    return table


def _route_and_lines(checkout: ReportedCheckout) -> str:
    """Return the route, the line that took the connection, and the line that keeps it."""
    now = f"\nnow {checkout.now.summary}" if checkout.now else ""
    return f"{checkout.route or 'no route'}\n{place(checkout)}{now}"


def _session(checkout: ReportedCheckout) -> str:
    return f"pid {_number(checkout.backend_pid)} ({checkout.link})"


def _coloured(word: str) -> Text:
    return Text(word, style=STYLES.get(word, UNSURE))


def _number(number: int | None) -> str:
    return UNKNOWN if number is None else str(number)
