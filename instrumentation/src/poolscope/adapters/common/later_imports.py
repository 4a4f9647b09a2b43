"""Attach to a library when the application imports it, without importing it for poolscope.

Frameworks and task queues are large, and most of the installed ones are not used.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

Attach = Callable[[], object]


class LaterImports(MetaPathFinder):
    """The modules that are not imported yet, each with the function that attaches to it.

    It is the first finder on `sys.meta_path`. It finds nothing by itself: it asks the finders after
    it, and has the loader that they return run one more function after the module.
    """

    def __init__(self, attach: Mapping[str, Attach], contain: Callable[[Exception], None]) -> None:
        self._attach = dict(attach)
        self._contain = contain

    def start(self) -> None:
        """Attach to the imported modules, and wait for the imports of the rest."""
        for name in [name for name in self._attach if _is_imported(name)]:
            self._run(name)
        sys.meta_path.insert(0, self)

    def stop(self) -> None:
        """Wait for no more imports."""
        self._attach.clear()
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of a module for which poolscope waits, as another finder finds it."""
        if fullname not in self._attach:
            return None
        try:
            spec = self._find(fullname, path, target)
            if spec is not None and spec.loader is not None:
                self._run_after(spec.loader, fullname)
        except Exception as error:  # noqa: BLE001 - the application's import must not fail
            self._contain(error)
            return None
        return spec

    def _find(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None
    ) -> ModuleSpec | None:
        others = (finder for finder in list(sys.meta_path) if finder is not self)
        found = (finder.find_spec(fullname, path, target) for finder in others)
        return next((spec for spec in found if spec is not None), None)

    def _run_after(self, loader: Any, fullname: str) -> None:
        """Have a loader attach after it has run the module.

        The function is on this one loader. Another loader in its place would lack the methods that
        packages use to read their files.
        """
        original = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            original(module)
            if module.__name__ == fullname:
                self._run(fullname)

        loader.exec_module = exec_module

    def _run(self, fullname: str) -> None:
        attach = self._attach.pop(fullname, None)
        if attach is not None:
            attach()


def _is_imported(name: str) -> bool:
    """Return whether a module is imported, or is being imported."""
    return name in sys.modules
