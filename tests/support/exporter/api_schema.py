"""Validate answers of the API against its OpenAPI document, and nothing beyond it allowed."""

from collections.abc import Mapping
from typing import Any

import jsonschema_rs

Document = Mapping[str, Any]


def problems_of(answer: object, path: str, document: Document) -> list[str]:
    """Return where an answer of a path differs from its schema: also fields that it lacks.

    To a client a new field is none of its business, so the document allows it; to us it is a
    field that somebody forgot to document.
    """
    [content] = document["paths"][path]["get"]["responses"]["200"]["content"].values()
    components = _strict(document["components"])
    schema = {**content["schema"], "components": components}
    validator = jsonschema_rs.Draft202012Validator(schema)
    return [f"{error.instance_path}: {error.message}" for error in validator.iter_errors(answer)]


def _strict(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: _strict(each) for name, each in schema.items()}
    return {**found, "additionalProperties": False} if "properties" in schema else found
