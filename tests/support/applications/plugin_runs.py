"""Run pytest with our plugin on a few tests, inside a test."""

import re
from pathlib import Path

import pytest
import sqlalchemy.ext.asyncio  # so that no run has to import it anew

POOLS = """
    import gc
    import os
    import threading
    import pytest
    from sqlalchemy import create_engine
    from sqlalchemy.ext.asyncio import create_async_engine
    from sqlalchemy.orm import Session
    from sqlalchemy.pool import QueuePool
    from support.applications.dbapi import an_engine

    engine = an_engine(pool_size=20, pool_logging_name="shop")
    kept = []
"""
"""What every run begins with."""

OPTIONS = ("-p", "no:cacheprovider", "-rA", "--strict-markers")

assert sqlalchemy.ext.asyncio


class PluginRuns:
    """Runs pytest on the source of tests; its modules may import from `support`."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self._pytester = pytester
        self._source = ""

    def run(self, source: str, *arguments: str, flag: bool = True) -> pytest.RunResult:
        """Run in this process, which is quick; other plugins would be imported each time."""
        flags = ["--poolscope-leaks"] if flag else []
        only_ours = ["--disable-plugin-autoload", "-p", "poolscope.pytest_plugin"]
        body = self._write(source)
        return self._pytester.runpytest_inprocess(body, *only_ours, *OPTIONS, *flags, *arguments)

    def run_as_users_do(self, source: str, *arguments: str) -> pytest.RunResult:
        """Run in a process of its own, with every plugin that is installed."""
        body = self._write(source)
        options = [*OPTIONS, f"--override-ini=pythonpath={Path(__file__).parents[2]}"]
        return self._pytester.runpytest_subprocess(body, *options, "--poolscope-leaks", *arguments)

    def line(self, mark: str) -> int:
        """Return the number of the line that has this mark."""
        [number] = [n for n, line in enumerate(self._source.splitlines(), 1) if mark in line]
        return number

    def _write(self, source: str) -> Path:
        body = self._pytester.makepyfile(POOLS + source)
        self._source = body.read_text()
        return body


def errors(result: pytest.RunResult) -> list[str]:
    """Return the names of the tests that a leak was reported for."""
    said = [line for line in result.outlines if re.match(r"ERROR .*::", line)]
    return [line.partition("::")[2].partition(" ")[0] for line in said]
