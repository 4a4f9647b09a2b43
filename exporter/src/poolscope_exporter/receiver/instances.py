"""Name the process that a resource describes, also where its SDK gives it no id."""

from collections.abc import Mapping

from poolscope.catalogue import (
    HOST_NAME,
    K8S_POD_NAME,
    PROCESS_PID,
    SERVICE_INSTANCE_ID,
    SERVICE_NAME,
    SERVICE_NAMESPACE,
)
from poolscope_exporter.core.model.checkouts import Instance

_WHERE = ("k8s.namespace.name", K8S_POD_NAME, "k8s.container.name", "container.id", HOST_NAME)
"""What tells one place to run from another, from the narrowest that a reader knows."""


def instance_of(resource: Mapping[str, str]) -> Instance:
    """Return the instance.

    Without `service.instance.id` it is named by where it runs and by its pid, as far as the
    resource tells: the same for as long as the process lives. Two processes that no attribute
    tells apart get the same name; `core/order.py` refuses what one says into the other's series.
    """
    return Instance(
        namespace=resource.get(SERVICE_NAMESPACE, ""),
        name=resource.get(SERVICE_NAME) or "unknown_service",
        id=resource.get(SERVICE_INSTANCE_ID) or _place(resource),
    )


def _place(resource: Mapping[str, str]) -> str:
    found = [resource.get(name, "") for name in (*_WHERE, PROCESS_PID)]
    return "/".join(dict.fromkeys(filter(None, found)))
