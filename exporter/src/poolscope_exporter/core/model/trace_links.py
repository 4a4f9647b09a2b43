"""Link a checkout to the trace in which its connection was taken."""

import re
from typing import Final

TRACE_ID_PLACEHOLDER: Final = "{trace_id}"

_TRACE_ID = re.compile(r"[0-9a-f]{32}")


def trace_link(template: str | None, trace_id: str | None) -> str | None:
    """Return the address of a trace's page, or None without a template or a valid id.

    The id comes from the sender of a push: only 32 hexadecimal digits get into an address.
    """
    if not template or not trace_id or not _TRACE_ID.fullmatch(trace_id):
        return None
    return template.replace(TRACE_ID_PLACEHOLDER, trace_id)
