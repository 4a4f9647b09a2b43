"""Write docs/api.md from the OpenAPI document of the exporter.

`make docs` runs it.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from poolscope_exporter.core.judging.situation import Situation
from poolscope_exporter.metrics.exposition import Exposition
from poolscope_exporter.metrics.scrape import Scrape
from poolscope_exporter.web.api_page import type_text
from poolscope_exporter.web.endpoints import create_web
from poolscope_exporter.web.openapi import openapi_document
from poolscope_exporter.web.sources import Sources

DOCUMENT: Final = Path(__file__).parents[3] / "docs" / "api.md"

_HEAD: Final = """# The API, field by field

With this page you read the exporter's data from a program. `make docs` writes it from the OpenAPI
document. Your exporter has the document of its version at `/openapi.json`. At `/docs`, it has the
same as a page with examples.

<!-- not run: tests/integration/exporter/test_openapi.py compares the answers with the document -->
```console
$ curl -s http://127.0.0.1:9736/api/v1/pools
```

Without a token, guarded paths answer only callers on the exporter's machine. With one, send
`Authorization: Bearer` and the token, or the token as the password of any user.
[exporter.md](exporter.md) has the settings.
"""

_TAIL: Final = """
## Verify

Ask for `/readyz`. It answers `ready` if the exporter receives pushes.

## Troubleshooting

| what you see | what it means |
|---|---|
| 401 | a token is set, and the request has no valid one |
| 403 | no token is set, and the request comes from another machine |
| 400 | the query has an unknown parameter or an invalid value; the answer lists the accepted ones |
| a field is `null` | it is unknown, or has no meaning here |
"""

_Json = Mapping[str, Any]


def api_document() -> _Json:
    """Return the OpenAPI document of an exporter without data."""
    nothing = Situation((), (), (), (), 0.0)
    exposition = Exposition(lambda: Scrape(nothing, (), (), (), (), {}, {}))
    app = create_web(Sources(lambda: nothing, exposition, lambda: True, lambda: ""), None)
    return openapi_document(app)


def page(document: _Json) -> str:
    """Return the text of docs/api.md."""
    schemas: _Json = document["components"]["schemas"]
    return "\n".join([_HEAD, *_paths(document), *_queries(document), *_schemas(schemas)]) + _TAIL


def _paths(document: _Json) -> Iterator[str]:
    yield "## Paths\n"
    yield "| path | content | answer | access |"
    yield "|---|---|---|---|"
    for path, methods in document["paths"].items():
        operation = methods["get"]
        [(media_type, answer)] = operation["responses"]["200"]["content"].items()
        kind = type_text(answer["schema"])
        shown = _linked(kind) if "$ref" in answer["schema"] else f"`{media_type}`"
        access = "guarded" if "security" in operation else "open"
        yield f"| `{path}` | {operation['summary']} | {shown} | {access} |"
    yield ""


def _queries(document: _Json) -> Iterator[str]:
    yield "## Queries\n"
    for path, methods in document["paths"].items():
        every = methods["get"].get("parameters", ())
        parameters = [each for each in every if each["in"] == "query"]
        if not parameters:
            continue
        yield f"### `{path}`\n"
        yield "| parameter | meaning |"
        yield "|---|---|"
        for each in parameters:
            yield f"| `{each['name']}` | {each['description']} |"
        yield ""


def _schemas(schemas: _Json) -> Iterator[str]:
    yield "## Answers and their parts\n"
    for name, schema in schemas.items():
        yield f"### {name}\n"
        yield f"{' '.join(schema.get('description', '').split())}\n"
        if "enum" in schema:
            yield f"Values: {', '.join(f'`{value}`' for value in schema['enum'])}.\n"
            continue
        yield "| field | type | meaning |"
        yield "|---|---|---|"
        for field, value in schema["properties"].items():
            yield f"| `{field}` | {_type(value, schemas)} | {_text(value.get('description', ''))} |"
        yield ""


def _type(value: _Json, schemas: _Json) -> str:
    words = type_text(value).split(" ")
    linked = " ".join(_linked(word) if word in schemas else word for word in words)
    return f"{linked}: {', '.join(value['enum'])}" if "enum" in value else linked


def _linked(name: str) -> str:
    return f"[{name}](#{name.lower()})"


def _text(description: str) -> str:
    return description.replace("|", "\\|")


def write() -> None:
    """Write the page."""
    DOCUMENT.write_text(page(api_document()), encoding="utf-8")


if __name__ == "__main__":
    write()
