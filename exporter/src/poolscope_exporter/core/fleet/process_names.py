"""Name application processes so that people find them: by pod or host, and PID."""

from collections.abc import Iterable, Mapping

from poolscope.catalogue import HOST_NAME, K8S_POD_NAME, PROCESS_PID
from poolscope_exporter.core.fleet.fleet import InstanceState
from poolscope_exporter.core.model.checkouts import Instance

ProcessNames = Mapping[Instance, str]


def process_name(instance: Instance, resource: Mapping[str, str]) -> str:
    """Return `pod:pid`, or `host:pid` without a known pod.

    Several workers may share a pod, so its name alone does not identify one. If the sender reports
    none of them, the instance id is the only name.
    """
    place = resource.get(K8S_POD_NAME) or resource.get(HOST_NAME)
    pid = resource.get(PROCESS_PID)
    if not place:
        return instance.id
    return f"{place}:{pid}" if pid else place


def process_names(states: Iterable[InstanceState]) -> dict[Instance, str]:
    """Return the name of each process."""
    return {state.instance: process_name(state.instance, state.resource) for state in states}
