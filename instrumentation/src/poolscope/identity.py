"""Say which process this is: the resource that everything it sends is about."""

import os
import socket
import uuid

from opentelemetry.sdk.resources import OTELResourceDetector, Resource

from poolscope import catalogue


class ProcessIdentity:
    """The resource of this process, by OpenTelemetry's own variables and detectors.

    `service.instance.id` is unique per process: a forked child gets a new one, and one that the
    user has set gets `/<pid>` appended there.
    """

    def __init__(self, service_name: str | None = None) -> None:
        self._service_name = service_name
        self._forked = False
        self.resource = self._make()

    def after_fork(self) -> None:
        """Become another instance of the same service."""
        self._forked = True
        self.resource = self._make()

    def _make(self) -> Resource:
        attributes: dict[str, str | int] = {
            catalogue.SERVICE_INSTANCE_ID: self._instance_id(),
            catalogue.PROCESS_PID: os.getpid(),
        }
        if self._service_name:
            attributes[catalogue.SERVICE_NAME] = self._service_name
        host = Resource({catalogue.HOST_NAME: socket.gethostname()})
        return host.merge(Resource.create(attributes))

    def _instance_id(self) -> str:
        given = OTELResourceDetector().detect().attributes.get(catalogue.SERVICE_INSTANCE_ID)
        if given is None:
            return str(uuid.uuid4())
        return f"{given}/{os.getpid()}" if self._forked else str(given)
