"""Builders of the exporter's state of application processes."""

from poolscope.catalogue import Publisher
from poolscope_exporter.core.fleet.fleet import InstanceState
from poolscope_exporter.core.model.checkouts import Instance
from support.exporter.builders import an_instance

SHOP = an_instance()


def an_instance_state(
    resource: dict[str, str], instance: Instance = SHOP, *, ended: bool = False
) -> InstanceState:
    """Return the state of a process with these attributes of its resource."""
    return InstanceState(
        instance=instance,
        resource=resource,
        last_push_age_s=2.5,
        interval_s=5.0,
        publisher=Publisher.EXPORTER,
        ended=ended,
        is_live=not ended,
    )
