"""The readers of the house rules find what breaks a rule, and nothing else."""

import pytest

from support.source.classes import classes, shared_names, shared_verbs
from support.source.comments import exemptions
from support.source.modules import Module, borrowed_names, defined_names, import_circle

PROTOCOL = (
    "class Door(Protocol):\n    def shut(self): ...\n    @property\n    def is_wide(self): ...\n"
)
IMPLEMENTED = "class {}:\n    is_wide = True\n    def shut(self): ...\n"


def a_module(text: str, name: str = "house.door") -> Module:
    return Module(name.replace(".", "/") + ".py", name, text)


def test_a_verb_on_two_classes_is_found() -> None:
    text = "class Door:\n    def shut(self): ...\nclass Window:\n    def shut(self): ...\n"
    assert [*shared_verbs(classes([a_module(text)]))] == ["shut"]


@pytest.mark.parametrize(
    "text",
    [
        PROTOCOL + IMPLEMENTED.format("Oak") + IMPLEMENTED.format("Glass"),
        "class Door:\n    def shut(self): ...\nclass Gate(Door):\n    def shut(self): ...\n",
        "class OakHooks:\n    def shut(self): ...\nclass GlassHooks:\n    def shut(self): ...\n",
        "class Door:\n    def _shut(self): ...\nclass Gate:\n    def _shut(self): ...\n",
        "class Door:\n    @property\n    def w(self): ...\nclass Gate:\n    def w(self): ...\n",
    ],
    ids=["one protocol", "an override", "hooks", "private", "a property"],
)
def test_a_verb_that_a_rule_explains_is_not_found(text: str) -> None:
    assert shared_verbs(classes([a_module(text)])) == {}


def test_a_class_with_only_one_method_of_a_protocol_does_not_implement_it() -> None:
    text = PROTOCOL + IMPLEMENTED.format("Oak") + "class Lid:\n    def shut(self): ...\n"
    assert [*shared_verbs(classes([a_module(text)]))] == ["shut"]


def test_a_class_name_in_two_modules_is_found() -> None:
    one, other = a_module("class Door: ..."), a_module("class Door: ...", "garden.door")
    assert [*shared_names(classes([one, other]))] == ["Door"]


def test_a_name_imported_from_where_it_is_only_imported_is_found() -> None:
    source = a_module("class Door: ...", "house.door")
    between = a_module("from house.door import Door", "house.hall")
    user = a_module("def enter():\n    from house.hall import Door", "house.guest")
    found = list(borrowed_names([source, between, user]))
    assert [(each.module.name, each.name) for each in found] == [("house.guest", "Door")]


def test_a_submodule_and_the_public_face_of_a_package_may_be_imported() -> None:
    face = Module("house/__init__.py", "house", "from house.door import Door\n__all__ = ['Door']")
    door = a_module("class Door: ...", "house.door")
    user = a_module("from house import Door, door", "guest")
    assert list(borrowed_names([face, door, user])) == []


def test_names_bound_in_branches_count_as_defined() -> None:
    text = "try:\n    a = 1\nexcept OSError:\n    b: int = 2\nif a:\n    def c(): ...\n"
    assert defined_names(a_module(text)) == {"a", "b", "c"}


def test_an_import_circle_is_found() -> None:
    one = a_module("from house.hall import a", "house.door")
    other = a_module("from house import door", "house.hall")
    assert set(import_circle([one, other])) == {"house.door", "house.hall"}


@pytest.mark.parametrize("later", ["def f():\n    ", "if TYPE_CHECKING:\n    "])
def test_an_import_that_does_not_run_at_import_makes_no_circle(later: str) -> None:
    one = a_module("from house.hall import a", "house.door")
    other = a_module(f"{later}from house.door import b", "house.hall")
    assert import_circle([one, other]) == []


@pytest.mark.parametrize(
    ("comment", "has_reason"),
    [
        ("# noqa: S104 - Prometheus scrapes from elsewhere", True),
        ("# noqa: S323, SLF001 - as above", True),
        ("# noqa: S104", False),
        ("# noqa: S104 -", False),
        ("# noqa: S104 - yes", False),
        ("# noqa", False),
        ("# ruff: noqa: S104", False),
    ],
)
def test_an_exemption_has_a_reason_of_two_words_or_none(comment: str, *, has_reason: bool) -> None:
    [found] = exemptions(a_module(f"a = 1  {comment}\n"))
    assert found.has_reason is has_reason


def test_an_exemption_inside_of_a_string_is_none() -> None:
    assert list(exemptions(a_module('a = "# noqa: S104"\n'))) == []
