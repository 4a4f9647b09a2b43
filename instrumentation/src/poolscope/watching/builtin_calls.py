"""Name the function of the interpreter that a running line calls: such a call has no frame."""

import dis
import sys
from collections.abc import Mapping
from functools import lru_cache
from types import BuiltinFunctionType, CodeType, FrameType, ModuleType
from typing import Any, Final

_GLOBALS: Final = frozenset({"LOAD_GLOBAL", "LOAD_NAME"})
_ATTRIBUTES: Final = frozenset({"LOAD_ATTR", "LOAD_METHOD"})
_SILENT: Final = frozenset({"CACHE", "NOP", "PRECALL", "PUSH_NULL", "RESUME"})
"""Instructions that belong to a call, but not to the expression of its function."""

Names = tuple[str, ...]


def builtin_call(frame: FrameType, lasti: int) -> str | None:
    """Return the name of the built-in function that a frame calls at the instruction `lasti`.

    An example is `time.sleep`. None if the frame calls none, or if the function is not found in
    global names: a line may call a method of any object. Only modules are searched, so that no code
    of the application runs.
    """
    names = _called_names(frame.f_code, lasti)
    if not names:
        return None
    found: Any = _global(frame.f_globals, names[0])
    for name in names[1:]:
        if type(found) is not ModuleType:
            return None
        found = vars(found).get(name)
    if type(found) is not BuiltinFunctionType or not isinstance(found.__module__, str):
        return None
    if found.__module__ == "builtins":
        return None  # such as `sum`: this is the application's computation
    return f"{found.__module__}.{found.__name__}"


def _global(names: Mapping[str, Any], name: str) -> Any:
    found = names.get(name)
    return vars(sys.modules["builtins"]).get(name) if found is None else found


@lru_cache(maxsize=1024)
def _called_names(code: CodeType, lasti: int) -> Names:
    """Return the names of the function that the instruction at `lasti` calls: a dotted name."""
    instructions = {each.offset: each for each in dis.get_instructions(code)}
    call = instructions.get(lasti)
    if call is None or not call.opname.startswith("CALL") or call.positions is None:
        return ()
    begin = call.positions.lineno, call.positions.col_offset
    before = [each for offset, each in instructions.items() if offset < lasti]
    return _dotted(before, begin)


def _dotted(before: list[dis.Instruction], begin: tuple[int | None, int | None]) -> Names:
    """Return the names of the dotted expression at the beginning of a call.

    The expression of the function begins where the whole call begins; an argument begins later. The
    expression has no names if it contains a call itself, as in `open(path).read()`.
    """
    names: list[str] = []
    is_dotted = False
    for each in before:
        if each.positions is None or (each.positions.lineno, each.positions.col_offset) != begin:
            continue
        if each.opname in _GLOBALS:
            names, is_dotted = [str(each.argval)], True
        elif is_dotted and each.opname in _ATTRIBUTES:
            names.append(str(each.argval))
        elif each.opname not in _SILENT:
            names, is_dotted = [], False
    return tuple(names)
