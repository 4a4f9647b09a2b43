"""Read pods out of rendered resources: our container, and what it would be started with."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from support.documents.rendering import Resource

IMAGE = "poolscope-exporter"


@dataclass(frozen=True)
class Pod:
    """The template of a Deployment's pods."""

    name: str
    labels: Mapping[str, str]
    spec: Resource

    @property
    def containers(self) -> list[Resource]:
        return [*self.spec.get("initContainers", ()), *self.spec["containers"]]

    @property
    def exporter(self) -> Resource:
        """Return the container of the exporter."""
        (found,) = [each for each in self.containers if IMAGE in each["image"]]
        return found

    @property
    def has_exporter(self) -> bool:
        return any(IMAGE in each["image"] for each in self.containers)

    @property
    def ports(self) -> dict[str, int]:
        """Return the ports by their names."""
        named = (port for each in self.containers for port in each.get("ports", ()))
        return {port["name"]: port["containerPort"] for port in named}


def pods(resources: Sequence[Resource]) -> list[Pod]:
    """Return the pods of all Deployments."""
    return [
        Pod(
            each["metadata"]["name"],
            each["spec"]["template"]["metadata"]["labels"],
            each["spec"]["template"]["spec"],
        )
        for each in resources
        if each["kind"] == "Deployment"
    ]


Held = Mapping[str, Mapping[str, str]]
"""What Secrets and ConfigMaps hold, by their names and keys."""


def started_with(pod: Pod, held: Held, folder: Path) -> dict[str, str]:
    """Write the files of the exporter's volumes below a folder; return its environment."""
    mounts = {each["mountPath"]: each["name"] for each in pod.exporter.get("volumeMounts", ())}
    volumes = {each["name"]: each for each in pod.spec.get("volumes", ())}

    def moved(text: str) -> str:
        for place in mounts:
            text = text.replace(place, f"{folder}{place}")
        return text

    for place, name in mounts.items():
        (folder / place[1:]).mkdir(parents=True)
        for path, text in _files(volumes[name], held):
            (folder / place[1:] / path).write_text(moved(text), encoding="utf-8")
    return {name: moved(value) for name, value in _variables(pod.exporter, held)}


def _variables(container: Resource, held: Held) -> Iterator[tuple[str, str]]:
    for each in container.get("env", ()):
        reference = each.get("valueFrom", {}).get("secretKeyRef")
        value = held[reference["name"]][reference["key"]] if reference else each.get("value", "")
        yield each["name"], value


def _files(volume: Resource, held: Held) -> Iterator[tuple[str, str]]:
    if "persistentVolumeClaim" in volume:
        return  # empty, until the exporter writes to it
    name = volume["secret"]["secretName"] if "secret" in volume else volume["configMap"]["name"]
    items = volume.get("secret", {}).get("items") or [
        {"key": key, "path": key} for key in held[name]
    ]
    yield from ((item["path"], held[name][item["key"]]) for item in items)
