"""Identify this process: the OpenTelemetry resource of everything that it sends."""

import multiprocessing
import os
import socket
import uuid

from opentelemetry.sdk.resources import OTELResourceDetector, Resource

from poolscope import catalogue


class ProcessIdentity:
    """The resource of this process, by OpenTelemetry's own variables and detectors.

    `service.instance.id` is unique per process: a forked child gets a new one, and one that the
    user has set gets `/<pid>` appended in forked children and in workers that a server starts.
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
        host = Resource({catalogue.HOST_NAME: socket.gethostname()})
        self.resource = host.merge(Resource.create(attributes))

    def renew(self) -> None:
        """Become another instance of the same service.

        Detectors are not asked again: the SDK runs them in threads, which hangs in a child that
        has just been forked.
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
    """Return whether siblings run the same code in the same environment, so with the same given id.

    uvicorn's workers and multiprocessing's children import us on their own; gunicorn's, unless it
    preloads, after they were forked, when no fork hook of ours was there.
    """
    by_gunicorn = os.environ.get("SERVER_SOFTWARE", "").startswith("gunicorn/")
    # Not parent_process(): it is set only after a spawned child has imported the main module.
    return by_gunicorn or multiprocessing.current_process().name != "MainProcess"
