"""Look at how CPython keeps the attributes of an object."""

import gc


def made_dict(target: object, attribute: str) -> bool:
    """Say whether somebody has made an object keep an attribute of it in a `__dict__`.

    Until its `__dict__` is asked for, an ordinary object refers to its values themselves. (Asking
    `__dict__` would make it.)
    """
    return any(isinstance(found, dict) and attribute in found for found in gc.get_referents(target))
