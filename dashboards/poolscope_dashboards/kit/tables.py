"""Make tables: columns from queries and labels, named, coloured, linked and sorted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from poolscope_dashboards.kit.palette import Json
from poolscope_dashboards.kit.panel import Kind, Override, Panel, Step, Unit, now, plain, ref

_NUMBER_WIDTH: Final = 85
_HIDDEN: Final = ("Time", "job", "instance", "__name__")


@dataclass(frozen=True, slots=True)
class Column:
    """One column: the value of an expression, or a label of all of them.

    `link` opens another dashboard; `is_painted` colours the whole cell, by `steps` or `mappings`.
    """

    title: str
    expression: str = ""
    label: str = ""
    unit: Unit = Unit.NUMBER
    steps: tuple[Step, ...] = ()
    mappings: tuple[Json, ...] = ()
    link: str = ""
    width: int = 0
    decimals: int | None = None
    is_painted: bool = False


@dataclass(frozen=True, slots=True)
class Sort:
    """The column that a table is sorted by."""

    column: str
    is_descending: bool = True


@dataclass(frozen=True, slots=True)
class _Named:
    """A column and the field behind it."""

    column: Column
    field: str
    index: int


def table(
    title: str,
    columns: Sequence[Column],
    description: str,
    *,
    none: str,
    sort: Sort,
    width: int = 24,
    height: int = 8,
    hides: Sequence[str] = (),
) -> Panel:
    """Return a table whose rows are the combinations of labels; labels in `hides` are not shown.

    A dash stands where an expression has no value for a row, `none` where there is no row.
    """
    named = _named(columns)
    values = [each.column for each in named if each.column.expression]
    return Panel(
        Kind.TABLE,
        title,
        description,
        width,
        height,
        tuple(now(column.expression) for column in values),
        none=none,
        steps=plain(),
        custom={"align": "auto", "cellOptions": {"type": "auto"}, "inspect": False},
        options={
            "cellHeight": "sm",
            "showHeader": True,
            "sortBy": [{"displayName": sort.column, "desc": sort.is_descending}],
        },
        overrides=tuple(Override(each.field, _properties(each.column)) for each in named),
        transformations=(
            {"id": "merge", "options": {}},
            {"id": "organize", "options": _organized(named, hides)},
        ),
    )


def _named(columns: Sequence[Column]) -> list[_Named]:
    """Return the columns by their fields: Grafana names the value of a table's query after it."""
    values = [column for column in columns if column.expression]
    # With one query alone the field is "Value", with several "Value #A".
    names = ["Value"] if len(values) == 1 else [f"Value #{ref(i)}" for i in range(len(values))]
    fields = dict(zip((id(column) for column in values), names, strict=True))
    return [
        _Named(column, column.label or fields[id(column)], index)
        for index, column in enumerate(columns)
    ]


def _organized(named: Sequence[_Named], hides: Sequence[str]) -> Json:
    # Titles are overrides and not renames: links read fields by their first names.
    return {
        "excludeByName": dict.fromkeys((*_HIDDEN, *hides), True),
        "indexByName": {each.field: each.index for each in named},
        "renameByName": {},
    }


def _properties(column: Column) -> Mapping[str, Any]:
    found: dict[str, Any] = {"displayName": column.title}
    if column.expression:
        found["unit"] = str(column.unit)
        found["noValue"] = "-"
    if column.decimals is not None:
        found["decimals"] = column.decimals
    if column.width or column.expression:
        found["custom.width"] = column.width or _NUMBER_WIDTH
    if column.steps:
        steps = [{"value": step.value, "color": step.colour} for step in column.steps]
        found["thresholds"] = {"mode": "absolute", "steps": steps}
    if column.mappings:
        found["mappings"] = list(column.mappings)
        found["custom.align"] = "left"  # the numbers behind words would be on the right
    if column.steps or column.is_painted:
        kind = "color-background" if column.is_painted else "color-text"
        style = {"mode": "basic"} if column.is_painted else {}
        found["custom.cellOptions"] = {"type": kind, **style}
    if column.link:
        found["links"] = [{"title": _link_title(column.link), "url": column.link}]
    return found


def _link_title(url: str) -> str:
    """Return "Open this pool" for a link to the dashboard on pools."""
    return f"Open this {url.partition('?')[0].rpartition('-')[2]}"
