"""Read the repository's Python as text: modules, what each defines, and what it imports."""

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[3]

DISTRIBUTIONS: Final = ("exporter/src", "instrumentation/src")
PRODUCT: Final = (*DISTRIBUTIONS, "alerts", "dashboards")
IMPORT_ROOTS: Final = (*PRODUCT, "generators", "peers", "tests")
"""Folders that are on the import path, so that names of modules begin below them."""

HIDDEN: Final = frozenset({".ci"})
"""Hidden folders with programs of ours; all others belong to tools."""

MADE: Final = frozenset({"build", "dist", "node_modules"})
"""Folders that tools make or install."""


@dataclass(frozen=True)
class Module:
    """One Python file: `path` relative to the repository, `name` as it is imported."""

    path: str
    name: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        """Return the parsed file."""
        return ast.parse(self.text, self.path)

    @property
    def folder(self) -> str:
        """Return the folder that the file is in."""
        return str(Path(self.path).parent)

    @property
    def is_package(self) -> bool:
        """Tell whether this is the `__init__.py` of a package."""
        return Path(self.path).name == "__init__.py"


@dataclass(frozen=True, slots=True)
class ImportedName:
    """`from source import name`, at one line of one module."""

    module: Module
    line: int
    source: str
    name: str

    def __str__(self) -> str:
        return f"{self.module.path}:{self.line} imports {self.name} from {self.source}"


def python_files() -> list[Module]:
    """Return every Python file of the repository, without what tools make or install."""
    tops = [each for each in ROOT.iterdir() if each.name in HIDDEN or each.name[0] != "."]
    found = [path for top in tops for path in (top.rglob("*.py") if top.is_dir() else [top])]
    paths = [path.relative_to(ROOT) for path in found if path.suffix == ".py"]
    ours = sorted(str(path) for path in paths if MADE.isdisjoint(path.parts))
    return [Module(path, module_name(path), (ROOT / path).read_text()) for path in ours]


def below(modules: Iterable[Module], roots: Iterable[str]) -> list[Module]:
    """Return the modules in any of the folders, or in folders of those."""
    prefixes = tuple(f"{root}/" for root in roots)
    return [module for module in modules if module.path.startswith(prefixes)]


def module_name(path: str) -> str:
    """Return the name under which a file is imported: `poolscope.recording.pool`."""
    for root in IMPORT_ROOTS:
        if path.startswith(f"{root}/"):
            path = path.removeprefix(f"{root}/")
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def imported_names(module: Module) -> Iterator[ImportedName]:
    """Yield every name that a module imports from another, also inside functions."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                yield ImportedName(module, node.lineno, node.module, alias.name)


def defined_names(module: Module) -> frozenset[str]:
    """Return the names that a module makes itself; a name that it imports is none of them."""
    return frozenset(_bound(_statements(module.tree.body)))


def borrowed_names(modules: Iterable[Module]) -> Iterator[ImportedName]:
    """Yield each import of a name from a module that only imports it too.

    The name of a submodule is no such name, and neither is what a package lists in `__all__`: that
    is its public face.
    """
    known = {module.name: module for module in modules}
    made = {name: defined_names(module) | _public(module) for name, module in known.items()}
    for module in known.values():
        for found in imported_names(module):
            is_submodule = f"{found.source}.{found.name}" in known
            if found.source in known and not is_submodule and found.name not in made[found.source]:
                yield found


def import_circle(modules: Iterable[Module]) -> list[str]:
    """Return the modules of one import circle, in order; empty where there is none.

    Only imports that run when the module is imported count.
    """
    known = {module.name: module for module in modules}
    try:
        TopologicalSorter({name: _imports(each, known) for name, each in known.items()}).prepare()
    except CycleError as exc:
        return list(exc.args[1])
    return []


def _imports(module: Module, known: Mapping[str, Module]) -> set[str]:
    found: set[str] = set()
    for node in _statements(module.tree.body):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            inside = {f"{node.module}.{alias.name}" for alias in node.names} & known.keys()
            found.update(inside or {node.module})
    return (found & known.keys()) - {module.name}


def _statements(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield what runs when a module is imported: not functions, not what is for type checkers."""
    for node in body:
        yield node
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        for field in ("body", "orelse", "finalbody"):
            if isinstance(node, ast.If | ast.Try | ast.With | ast.For):
                yield from _statements(getattr(node, field, []))
        for handler in getattr(node, "handlers", []):
            yield from _statements(handler.body)


def _bound(statements: Iterable[ast.stmt]) -> Iterator[str]:
    for node in statements:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name
        elif isinstance(node, ast.Assign | ast.AnnAssign | ast.For):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = (each for target in targets for each in ast.walk(target))
            yield from (each.id for each in names if isinstance(each, ast.Name))


def _public(module: Module) -> frozenset[str]:
    for node in module.tree.body if module.is_package else ():
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return frozenset(ast.literal_eval(node.value))
    return frozenset()
