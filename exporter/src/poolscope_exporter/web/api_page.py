"""Render the OpenAPI document as one plain page, without scripts or foreign assets."""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

Schema = Mapping[str, Any]


def render_api_page(document: Schema) -> str:
    """Return the page: paths with an example of each answer, then every schema by its fields."""
    return _template().render(
        title=document["info"]["title"],
        version=document["info"]["version"],
        description=document["info"]["description"],
        operations=[
            _operation(path, methods["get"]) for path, methods in document["paths"].items()
        ],
        schemas=document["components"]["schemas"],
    )


def type_text(schema: Schema) -> str:
    """Return a schema's type as a phrase, such as `list of PoolRow` or `integer or null`."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " or ".join(map(type_text, schema["anyOf"]))
    if schema.get("type") == "array":
        return f"list of {type_text(schema['items'])}"
    if "additionalProperties" in schema:
        return f"object with {type_text(schema['additionalProperties'])} values"
    return str(schema.get("type", "any"))


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader(__package__), autoescape=True, undefined=StrictUndefined
    )
    environment.filters["type_text"] = type_text
    return environment.get_template("api.html")


def _operation(path: str, operation: Schema) -> dict[str, Any]:
    [(media_type, answer)] = operation["responses"]["200"]["content"].items()
    example = answer.get("example")
    return {
        "path": path,
        "summary": operation["summary"],
        "media_type": media_type,
        "is_guarded": "security" in operation,
        "type": type_text(answer["schema"]),
        "example": json.dumps(example, indent=2) if example else None,
    }
