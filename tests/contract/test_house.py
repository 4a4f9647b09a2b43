"""The house rules that a tool can check: small folders, one owner for each name, stated reasons."""

from collections import Counter
from collections.abc import Mapping
from typing import Final

import pytest

from support.source.classes import classes, shared_names, shared_verbs
from support.source.comments import exemptions
from support.source.modules import (
    DISTRIBUTIONS,
    PRODUCT,
    below,
    borrowed_names,
    import_circle,
    python_files,
)

MOST_FILES: Final = 16

LIFECYCLE: Final = frozenset({"close", "refresh", "run", "start", "stop", "wake"})
"""Verbs that begin, end or wake what runs: a reader expects them on everything that does."""

SHARED_VERBS: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        ("connection_made", "connection_lost", "data_received", "eof_received"),
        "asyncio calls its protocols by these names",
    ),
    "flush": "logging calls the streams that it writes to by this name, users our handle",
    "poll_report": "a scrape asks the pollers of PostgreSQL and of PgBouncer for the same report",
    "uninstrument": "OpenTelemetry calls its instrumentors by this name, users our handle",
}
"""Verbs that several classes have although no rule explains it, each with its reason."""

FILES: Final = python_files()
PRODUCT_FILES: Final = below(FILES, PRODUCT)
CLASSES: Final = classes(below(FILES, DISTRIBUTIONS))


def test_no_folder_of_the_product_has_more_files_than_a_reader_takes_in() -> None:
    sizes = Counter(
        module.folder
        for module in PRODUCT_FILES
        if not module.is_package and "/demo/" not in module.path
    )
    assert {folder: size for folder, size in sizes.items() if size > MOST_FILES} == {}


def test_no_two_classes_have_one_name() -> None:
    shared = shared_names(CLASSES)
    assert {name: [str(each) for each in several] for name, several in shared.items()} == {}


def test_a_public_verb_belongs_to_one_class() -> None:
    shared = shared_verbs(CLASSES)
    unexplained = {
        verb: [str(each) for each in several]
        for verb, several in shared.items()
        if verb not in LIFECYCLE | SHARED_VERBS.keys()
    }
    assert unexplained == {}, "rename the narrower one, or give the reason in SHARED_VERBS"


@pytest.mark.parametrize("verb", SHARED_VERBS)
def test_an_exception_for_a_verb_is_still_needed(verb: str) -> None:
    assert verb in shared_verbs(CLASSES), "take it out of SHARED_VERBS"


def test_names_are_imported_from_where_they_are_defined() -> None:
    assert [str(found) for found in borrowed_names(FILES)] == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert import_circle(PRODUCT_FILES) == []


def test_what_is_exempt_from_a_lint_rule_gives_the_reason() -> None:
    found = [exemption for module in FILES for exemption in exemptions(module)]
    bare = [str(exemption) for exemption in found if not exemption.has_reason]
    assert bare == [], "write `# noqa: CODE - the reason`"
