"""Attach to a library when the application imports it; the import is as it was."""

import importlib
import importlib.resources
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from poolscope.adapters.common.later_imports import LaterImports

NAME = "poolscope_test_shop"


@pytest.fixture(autouse=True)
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Make a package, which nothing has imported yet."""
    package = tmp_path / NAME
    package.mkdir()
    (package / "__init__.py").write_text("LINES = []\nfrom . import orders\n")
    (package / "orders.py").write_text("COUNT = 7\n")
    (package / "menu.txt").write_text("soup")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == NAME]:
        del sys.modules[name]


class Watch:
    """The imports that were seen, and the errors that were contained."""

    def __init__(self, *names: str) -> None:
        self.seen: list[str] = []
        self.errors: list[Exception] = []
        attach = {name: lambda name=name: self.seen.append(name) for name in names}
        self.imports = LaterImports(attach, self.errors.append)

    def __enter__(self) -> "Watch":
        self.imports.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.imports.stop()


def test_a_module_is_attached_to_once_after_it_has_run() -> None:
    with Watch(f"{NAME}.orders") as watch:
        assert watch.seen == []
        importlib.import_module(NAME)
        assert watch.seen == [f"{NAME}.orders"]
        importlib.reload(sys.modules[f"{NAME}.orders"])
        assert watch.seen == [f"{NAME}.orders"]
    assert watch.errors == []


def test_a_module_that_is_imported_already_is_attached_to_at_once() -> None:
    importlib.import_module(NAME)
    with Watch(NAME) as watch:
        assert watch.seen == [NAME]


def test_a_module_is_loaded_as_without_us() -> None:
    with Watch(NAME):
        module = importlib.import_module(NAME)
    spec = module.__spec__
    assert spec is not None
    assert type(spec.loader).__name__ == "SourceFileLoader"
    assert importlib.resources.files(NAME).joinpath("menu.txt").read_text() == "soup"


def test_a_library_that_is_not_installed_is_not_found_as_without_us() -> None:
    with Watch("poolscope_test_nowhere") as watch, pytest.raises(ModuleNotFoundError):
        importlib.import_module("poolscope_test_nowhere")
    assert (watch.seen, watch.errors) == ([], [])


def test_after_the_end_nothing_is_attached_to() -> None:
    with Watch(NAME) as watch:
        pass
    importlib.import_module(NAME)
    assert watch.seen == []
    assert watch.imports not in sys.meta_path


def test_an_error_of_another_finder_is_contained_once() -> None:
    class Broken:
        def find_spec(self, *_: object) -> None:
            raise OSError("no such drive")

    broken = Broken()
    sys.meta_path.append(broken)
    try:
        with (
            Watch("poolscope_test_nowhere") as watch,
            pytest.raises(OSError, match="no such drive"),
        ):
            importlib.import_module("poolscope_test_nowhere")
    finally:
        sys.meta_path.remove(broken)
    assert len(watch.errors) == 1
