"""Import the modules of a push before poolscope's threads run.

If a thread imports a module during a fork, the lock of the module stays locked in the child. The
application would hang at the first use of that module there.
"""

import encodings.idna  # noqa: F401 - urllib's connect imports it for each host name
from typing import Final

from opentelemetry import context
from opentelemetry.sdk.resources import Resource

from poolscope import catalogue
from poolscope.pushing.encoding import encode
from poolscope.pushing.samples import Sample
from poolscope.recording.histogram import Buckets, TracedValue

_ONE_OF_EACH_KIND: Final = (
    Sample(catalogue.COUNT, {catalogue.CONNECTION_STATE: "idle"}, 0),
    Sample(catalogue.PUSH_FAILURES, {}, 0),
    Sample(catalogue.WAIT_TIME, {}, Buckets((1.0,), (0, 1), 2.0, (TracedValue(2.0, 1, 1, 1),))),
    Sample(catalogue.PUSH, {}, 0),
)


def import_for_pushes(resource: Resource) -> None:
    """Run the code of a push once; call this before poolscope's first thread starts."""
    encode(_ONE_OF_EACH_KIND, resource, 1, 2)
    context.get_current()
