"""Read pods out of rendered resources: our container, and what it would be started with."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from support.deploy_tools import Resource

SECRETS = Path("/run/secrets/poolscope")
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


def variables(container: Resource, secrets: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Return a container's environment, with what the named Secrets would hold."""
    return dict(_variables(container, secrets))


def _variables(
    container: Resource, secrets: Mapping[str, Mapping[str, str]]
) -> Iterator[tuple[str, str]]:
    for each in container.get("env", ()):
        reference = each.get("valueFrom", {}).get("secretKeyRef")
        value = secrets[reference["name"]][reference["key"]] if reference else each.get("value", "")
        yield each["name"], value


def mount(pod: Pod, secrets: Mapping[str, Mapping[str, str]], folder: Path) -> dict[str, str]:
    """Write the Secrets where the exporter's volumes would be; return its environment for them."""
    volumes = {each["name"]: each for each in pod.spec.get("volumes", ())}
    for each in pod.exporter.get("volumeMounts", ()):
        place = folder / Path(each["mountPath"]).relative_to(SECRETS)
        place.mkdir(parents=True)
        for path, text in _files(volumes[each["name"]], secrets):
            (place / path).write_text(text, encoding="utf-8")
    found = variables(pod.exporter, secrets)
    return {name: value.replace(str(SECRETS), str(folder)) for name, value in found.items()}


def _files(volume: Resource, secrets: Mapping[str, Mapping[str, str]]) -> Iterator[tuple[str, str]]:
    if "configMap" in volume:
        return
    held = secrets[volume["secret"]["secretName"]]
    items = volume["secret"].get("items") or [{"key": key, "path": key} for key in held]
    yield from ((item["path"], held[item["key"]]) for item in items)
