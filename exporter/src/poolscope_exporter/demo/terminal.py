"""The terminal view of a snapshot: servers, pools and held checkouts as tables.

The rows are those of `poolscope-exporter top`; here they must fit 80 columns.
"""

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from poolscope_exporter.core.judging.overview.held_groups import HeldGroup, group_held
from poolscope_exporter.demo.exporter_api import ReportedServer, Snapshot
from poolscope_exporter.terminal.cells import DIM, TextCell, text_cell
from poolscope_exporter.terminal.holder_lines import HolderColumn, holder_cells
from poolscope_exporter.terminal.pool_lines import (
    PoolChoice,
    PoolColumn,
    PoolLine,
    pool_cells,
    pool_lines,
)
from poolscope_exporter.terminal.printable import printable
from poolscope_exporter.terminal.states import pools_reading


def picture(snapshot: Snapshot, header: str) -> RenderableType:
    """Return everything that the terminal shows of a snapshot."""
    reading = pools_reading(snapshot.pools, snapshot.checkouts)
    return Group(
        Text(header),
        _servers(snapshot.servers),
        _pools(pool_lines(reading, PoolChoice())),
        _holders(group_held(reading.judgements)),
    )


def _servers(servers: tuple[ReportedServer, ...]) -> RenderableType:
    lines = [
        Text.assemble(
            f"server {printable(server.server)}: ",
            ("up", "green")
            if server.up
            else (f"down, {text_cell(server.reason).text}", "bold red"),
        )
        for server in servers
    ]
    return Group(*lines)


def _pools(lines: list[PoolLine]) -> RenderableType:
    if not lines:
        return Text("no application has pushed a pool yet", style=DIM)
    table = Table(
        "pool", "diagnosis", "used", "waiting", "why", box=box.SIMPLE_HEAD, pad_edge=False
    )
    columns = PoolColumn.POOL, PoolColumn.DIAGNOSIS, PoolColumn.USED, PoolColumn.WAITING
    for line in lines:
        cells = pool_cells(line)
        reasons = "\n".join(map(printable, line.state.worst.reasons))
        table.add_row(*(_styled(cells[column]) for column in columns), Text(reasons))
    return table


def _holders(groups: list[HeldGroup]) -> RenderableType:
    if not groups:
        return Text("no checkout is held for longer than a second", style=DIM)
    # Each row has two lines and only the middle column shrinks, so the table fits 80 columns.
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("verdict, evidence", no_wrap=True)
    table.add_column("held", no_wrap=True, justify="right")
    table.add_column("route, line", overflow="fold")
    table.add_column("server session", no_wrap=True)
    for group in groups:
        table.add_row(*_holder(group))
    return table


def _holder(group: HeldGroup) -> list[Text]:
    cells = holder_cells(group)
    count = len(group.judgements)
    held = [_styled(cells[HolderColumn.OLDEST]), Text(f"{count} held" if count > 1 else "")]
    place = [_styled(cells[HolderColumn.ROUTE]), _styled(cells[HolderColumn.TAKEN_AT])]
    if group.kept_at is not None:
        place.append(Text(f"now {cells[HolderColumn.KEPT_AT].text}"))
    session = f"pid {cells[HolderColumn.PIDS].text} ({cells[HolderColumn.LINK].text})"
    return [
        _lines(_styled(cells[HolderColumn.VERDICT]), _styled(cells[HolderColumn.EVIDENCE])),
        _lines(*held),
        _lines(*place),
        _lines(_styled(cells[HolderColumn.STATE]), Text(session)),
    ]


def _lines(*texts: Text) -> Text:
    return Text("\n").join(texts)


def _styled(cell: TextCell) -> Text:
    return Text(cell.text, style=cell.style)
