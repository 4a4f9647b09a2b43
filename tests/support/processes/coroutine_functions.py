"""The question whether a function is a coroutine function, as libraries ask it."""

import asyncio
import inspect
import sys
from collections.abc import Callable
from typing import Any

# Python 3.14 deprecates asyncio's own question. Before 3.12, `inspect` cannot see a mark.
is_coroutine_function: Callable[[Any], bool]
if sys.version_info >= (3, 14):
    is_coroutine_function = inspect.iscoroutinefunction
else:
    is_coroutine_function = asyncio.iscoroutinefunction
