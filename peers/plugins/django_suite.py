"""A pytest plugin: run parts of Django's own test suite, as its `runtests.py` prepares them.

`PEERS_DJANGO` has the labels of the parts, separated by spaces.
"""

import importlib
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings  # type: ignore[import-untyped]
from django.test import SimpleTestCase, TestCase  # type: ignore[import-untyped]
from django.test.utils import get_runner  # type: ignore[import-untyped]

ERRORS = ("RemovedInNextVersionWarning", "RemovedAfterNextVersionWarning")
"""The warnings that runtests.py makes errors."""

RUNNER = pytest.StashKey[Any]()
DATABASES = pytest.StashKey[Any]()


def pytest_configure(config: pytest.Config) -> None:
    """Prepare settings, applications and databases: Django's tests need them at their import."""
    sys.path.insert(0, str(Path.cwd() / "tests"))
    os.environ["TMPDIR"] = tempfile.gettempdir()  # runtests.py sets it when it is a program
    runtests = importlib.import_module("runtests")
    for name in ERRORS:
        config.addinivalue_line("filterwarnings", f"error::django.utils.deprecation.{name}")
    labels = os.environ["PEERS_DJANGO"].split()
    runtests.setup_run_tests(verbosity=0, start_at=None, start_after=None, test_labels=labels)
    runner = get_runner(settings)(verbosity=0, interactive=False)
    runner.setup_test_environment()
    config.stash[RUNNER] = runner
    config.stash[DATABASES] = runner.setup_databases()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the databases."""
    config.stash[RUNNER].teardown_databases(config.stash[DATABASES])


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run Django's tests in its order, in which tests that empty the tables come last."""
    items.sort(key=_place)


def _place(item: pytest.Item) -> int:
    case = getattr(item, "cls", None) or object
    kinds = (TestCase, SimpleTestCase)
    return next((at for at, kind in enumerate(kinds) if issubclass(case, kind)), len(kinds))
