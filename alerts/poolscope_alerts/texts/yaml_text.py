"""Write structures as YAML: blocks outside, JSON strings inside, which YAML reads as they are."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def yaml_text(value: Mapping[str, Any]) -> str:
    """Return a YAML document of mappings, sequences, strings and numbers."""
    return "\n".join(_mapping(value, "")) + "\n"


def _mapping(value: Mapping[str, Any], indent: str) -> Iterator[str]:
    for key, item in value.items():
        yield from _entry(f"{indent}{key}:", item, indent + "  ")


def _entry(head: str, item: object, indent: str) -> Iterator[str]:
    if isinstance(item, Mapping):
        yield head
        yield from _mapping(item, indent)
    elif isinstance(item, str) and "\n" in item:
        yield f"{head} |2-"  # its first line may be indented more than the others
        yield from (f"{indent}{line}" for line in item.splitlines())
    elif isinstance(item, Sequence) and not isinstance(item, str):
        yield head
        for each in item:
            yield from _item(each, indent)
    else:
        yield f"{head} {json.dumps(item, ensure_ascii=False)}"


def _item(item: object, indent: str) -> Iterator[str]:
    if not isinstance(item, Mapping):
        yield f"{indent}- {json.dumps(item, ensure_ascii=False)}"
        return
    lines = _mapping(item, indent + "  ")
    yield f"{indent}- {next(lines).lstrip()}"
    yield from lines
