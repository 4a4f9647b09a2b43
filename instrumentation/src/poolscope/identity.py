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
        self._given_id = (
            OTELResourceDetector().detect().attributes.get(catalogue.SERVICE_INSTANCE_ID)
        )
        attributes: dict[str, str | int] = {
            catalogue.SERVICE_INSTANCE_ID: str(self._given_id or uuid.uuid4()),
            catalogue.PROCESS_PID: os.getpid(),
        }
        if service_name:
            attributes[catalogue.SERVICE_NAME] = service_name
        host = Resource({catalogue.HOST_NAME: socket.gethostname()})
        self.resource = host.merge(Resource.create(attributes))

    def after_fork(self) -> None:
        """Become another instance of the same service.

        Detectors are not asked again: the SDK runs them in threads, which hangs in a child that
        has just been forked.
        """
        pid = os.getpid()
        identifier = f"{self._given_id}/{pid}" if self._given_id else str(uuid.uuid4())
        changed: dict[str, str | int] = {
            catalogue.SERVICE_INSTANCE_ID: identifier,
            catalogue.PROCESS_PID: pid,
        }
        self.resource = self.resource.merge(Resource(changed))
