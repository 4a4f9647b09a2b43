"""Select the alerts that a dashboard draws over its charts."""

from poolscope_alerts.model import Component, Sources
from poolscope_alerts.prometheus_rules import all_alerts
from poolscope_alerts.promql import selector


def firing(sources: Sources, components: tuple[Component, ...], matchers: str = "") -> str:
    """Return a series that is 1 while an alert of the components fires."""
    found = (alert for alert in all_alerts(sources) if alert.component in components)
    names = "|".join(dict.fromkeys(alert.name for alert in found))
    mine = f'alertstate="firing", alertname=~"{names}"'
    return selector("ALERTS", f"{mine}, {matchers}" if matchers else mine)
