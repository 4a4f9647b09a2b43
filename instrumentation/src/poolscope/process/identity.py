"""Identify this process: the OpenTelemetry resource of everything that it sends."""

import multiprocessing
import os
import socket
import uuid

from opentelemetry.sdk.resources import OTELResourceDetector, Resource

from poolscope import catalogue
from poolscope.process.cgroup_limits import read_limits


class ProcessIdentity:
    """The resource of this process, from OpenTelemetry's variables and detectors.

    Each process has a unique `service.instance.id`, so a forked child gets a new one. If the user
    has set the id, `/<pid>` is appended in forked children and in workers that a server starts.
    """

    def __init__(self, service_name: str | None = None) -> None:
        self._given_id = (
            OTELResourceDetector().detect().attributes.get(catalogue.SERVICE_INSTANCE_ID)
        )
        attributes: dict[str, str | int] = {
            catalogue.SERVICE_INSTANCE_ID: self._identifier(is_worker=_is_worker()),
            catalogue.PROCESS_PID: os.getpid(),
        }
        if service_name:
            attributes[catalogue.SERVICE_NAME] = service_name
        place = Resource({catalogue.HOST_NAME: socket.gethostname(), **read_limits().attributes})
        self.resource = place.merge(Resource.create(attributes))

    def renew(self) -> None:
        """Become another instance of the same service.

        Detectors do not run again: the SDK runs them in threads, which hangs in a child right
        after the fork.
        """
        changed: dict[str, str | int] = {
            catalogue.SERVICE_INSTANCE_ID: self._identifier(is_worker=True),
            catalogue.PROCESS_PID: os.getpid(),
        }
        self.resource = self.resource.merge(Resource(changed))

    def _identifier(self, *, is_worker: bool) -> str:
        if not self._given_id:
            return str(uuid.uuid4())
        return f"{self._given_id}/{os.getpid()}" if is_worker else str(self._given_id)


def _is_worker() -> bool:
    """Return whether other workers run the same code with the same environment and given id.

    The workers of uvicorn and the children of multiprocessing import poolscope separately.
    Without preloading, gunicorn's workers import it after the fork, so no fork hook has run.
    """
    by_gunicorn = os.environ.get("SERVER_SOFTWARE", "").startswith("gunicorn/")
    # Not parent_process(): it is set only after a spawned child has imported the main module.
    return by_gunicorn or multiprocessing.current_process().name != "MainProcess"
