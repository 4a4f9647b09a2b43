"""Draw events over the charts of a dashboard: alerts that fire, restarts, deploys."""

from dataclasses import dataclass

from poolscope_dashboards.kit.palette import Json
from poolscope_dashboards.kit.panel import DATASOURCE


@dataclass(frozen=True, slots=True)
class Annotation:
    """A mark for each series of an expression, for as long as it has a value.

    `title`, `text` and `tags` are templates and names of labels, as Grafana reads them.
    """

    name: str
    expression: str
    colour: str
    title: str
    text: str
    tags: str = ""

    def to_json(self) -> Json:
        """Return the annotation for Grafana, which up to 10.4 reads `expr`, and later `target`."""
        return {
            "name": self.name,
            "datasource": DATASOURCE,
            "enable": True,
            "hide": False,
            "iconColor": self.colour,
            "expr": self.expression,
            "target": {"expr": self.expression, "refId": "Anno", "datasource": DATASOURCE},
            "titleFormat": self.title,
            "textFormat": self.text,
            "tagKeys": self.tags,
        }
