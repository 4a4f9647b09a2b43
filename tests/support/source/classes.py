"""Read the classes of the product as text: what each one has, and which share a public verb."""

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from support.source.modules import Module

HOOKS = "Hooks"
"""Ending of the classes whose methods are named after the events of a pool library."""


@dataclass(frozen=True, slots=True)
class ClassSource:
    """One class: its bases as written, its public methods, and everything public that it has."""

    name: str
    path: str
    bases: tuple[str, ...]
    verbs: frozenset[str]
    members: frozenset[str]

    @property
    def is_protocol(self) -> bool:
        """Tell whether this is a `Protocol`."""
        return any(base.partition("[")[0] == "Protocol" for base in self.bases)

    def __str__(self) -> str:
        return f"{self.name} ({self.path})"


def classes(modules: Iterable[Module]) -> list[ClassSource]:
    """Return every class of the modules, also those that are made inside of functions."""
    return [
        _class(node, module)
        for module in modules
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ClassDef)
    ]


def shared_names(found: Iterable[ClassSource]) -> dict[str, list[ClassSource]]:
    """Return the names that several classes have."""
    by_name: dict[str, list[ClassSource]] = defaultdict(list)
    for each in found:
        by_name[each.name].append(each)
    return {name: several for name, several in by_name.items() if len(several) > 1}


def shared_verbs(found: Sequence[ClassSource]) -> dict[str, list[ClassSource]]:
    """Return the public methods that several classes have, and no rule explains.

    The rules: a subclass overrides its parent's method; classes that implement one Protocol have
    its methods; a Hooks class names its methods after the events of its library.
    """
    by_name = {each.name: each for each in found}
    by_verb: dict[str, list[ClassSource]] = defaultdict(list)
    for each in found:
        for verb in each.verbs - _inherited(each, by_name):
            if not each.name.endswith(HOOKS):
                by_verb[verb].append(each)
    return {
        verb: several
        for verb, several in by_verb.items()
        if len(several) > 1 and not _is_of_one_protocol(several, by_name)
    }


def _class(node: ast.ClassDef, module: Module) -> ClassSource:
    methods = [
        each for each in node.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    verbs = frozenset(each.name for each in methods if not _is_property(each))
    return ClassSource(
        node.name,
        module.path,
        tuple(ast.unparse(base) for base in node.bases),
        frozenset(filter(_is_public, verbs)),
        frozenset(filter(_is_public, _members(node))),
    )


def _members(node: ast.ClassDef) -> Iterator[str]:
    for each in node.body:
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef):
            yield each.name
        elif isinstance(each, ast.AnnAssign | ast.Assign):
            targets = each.targets if isinstance(each, ast.Assign) else [each.target]
            yield from (ast.unparse(target) for target in targets)
    for inner in ast.walk(node):
        if isinstance(inner, ast.Attribute) and isinstance(inner.ctx, ast.Store):
            yield inner.attr


def _is_public(name: str) -> bool:
    return not name.startswith("_")


def _is_property(method: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any("property" in ast.unparse(each) for each in method.decorator_list)


def _parents(of: ClassSource, by_name: Mapping[str, ClassSource]) -> Iterator[ClassSource]:
    for base in of.bases:
        parent = by_name.get(base.partition("[")[0])
        if parent is not None and parent is not of:
            yield parent
            yield from _parents(parent, by_name)


def _inherited(of: ClassSource, by_name: Mapping[str, ClassSource]) -> frozenset[str]:
    return frozenset(verb for parent in _parents(of, by_name) for verb in parent.verbs)


def _all_members(of: ClassSource, by_name: Mapping[str, ClassSource]) -> frozenset[str]:
    return of.members.union(*(parent.members for parent in _parents(of, by_name)))


def _is_of_one_protocol(several: Sequence[ClassSource], by_name: Mapping[str, ClassSource]) -> bool:
    """Tell whether one of the classes is a Protocol that all others implement."""
    return any(
        protocol.is_protocol
        and all(_all_members(protocol, by_name) <= _all_members(each, by_name) for each in several)
        for protocol in several
    )
