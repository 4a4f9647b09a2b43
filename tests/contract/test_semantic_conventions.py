"""The published semantic conventions of pools: each name is translated, or decided on.

The names of PyPI's package are those of the installed one. Those of npm's package are recorded in
`semantic_conventions.json`; `tests/system/test_senders.py` compares them with the package.
"""

import json
from pathlib import Path
from typing import Any, Final

import pytest
from opentelemetry.semconv._incubating.attributes import db_attributes
from opentelemetry.semconv._incubating.metrics import db_metrics

from poolscope import catalogue
from poolscope_exporter.receiver.translation.table import ATTRIBUTES, KNOWN, TRANSLATIONS, VALUES

OF_NPM: Final[dict[str, Any]] = json.loads(
    Path(__file__).with_name("semantic_conventions.json").read_text()
)
PREFIX: Final = "db.client.connection"

DECIDED_ATTRIBUTES: Final[dict[str, str]] = {}
"""Attributes of pools that are not translated, each with the reason."""


def names_of(module: object) -> set[str]:
    return {
        value
        for name, value in vars(module).items()
        if name.startswith("DB_") and isinstance(value, str) and value.startswith(PREFIX)
    }


METRICS: Final = sorted(names_of(db_metrics) | set(OF_NPM["metrics"]))
ATTRIBUTE_NAMES: Final = sorted(names_of(db_attributes) | set(OF_NPM["attributes"]))


def test_both_packages_have_pool_metrics() -> None:
    assert len(names_of(db_metrics)) >= 18
    assert len(OF_NPM["metrics"]) >= 19


@pytest.mark.parametrize("name", METRICS)
def test_each_published_metric_is_known_or_translated(name: str) -> None:
    assert name in KNOWN or name in TRANSLATIONS, "add it to receiver/translation/table.py"


@pytest.mark.parametrize("name", ATTRIBUTE_NAMES)
def test_each_published_attribute_is_known_or_translated(name: str) -> None:
    known = {catalogue.POOL_NAME, catalogue.CONNECTION_STATE}
    assert name in known | ATTRIBUTES.keys() | DECIDED_ATTRIBUTES.keys()


def test_each_published_state_is_known() -> None:
    published = {state.value for state in db_attributes.DbClientConnectionStateValues}
    assert published == {state.value for state in catalogue.ConnectionState}
    assert set(VALUES[catalogue.CONNECTION_STATE].values()) <= published


def test_nothing_is_translated_into_a_name_that_is_translated_again() -> None:
    assert {each.metric.name for each in TRANSLATIONS.values()} <= KNOWN.keys()
    assert not set(ATTRIBUTES.values()) & ATTRIBUTES.keys()
