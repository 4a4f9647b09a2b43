"""Ways of an application's series to Prometheus: what the rules read must be the same by each."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from support.exporter.exporter_process import ExporterProcess
from support.prometheus.collector import CONFIGURATIONS, a_collector
from support.prometheus.otlp_backend import OTLP_PROMETHEUS
from support.prometheus.server import Prometheus, a_prometheus, scraping

OTLP_EXAMPLE = CONFIGURATIONS.parent / "prometheus" / "otlp.yml"


@dataclass(frozen=True)
class Watched:
    """An exporter, and the Prometheus that has its applications' series by one way."""

    exporter: ExporterProcess
    prometheus: Prometheus


Way = Callable[[ExitStack, Path, Path, str], Watched]
"""Takes the stack, a folder, the rules, and the DSN of the server to watch."""


def _exporter(stack: ExitStack, dsn: str, forward_to: str) -> ExporterProcess:
    options = (f"--dsn={dsn}", "--poll-interval=0.5", f"--forward-to={forward_to}")
    return stack.enter_context(ExporterProcess(*options))


def over_a_scraped_collector(stack: ExitStack, folder: Path, rules: Path, dsn: str) -> Watched:
    """App, exporter, Collector; Prometheus scrapes the Collector alone."""
    collector = stack.enter_context(a_collector("backend-scraped.yaml", folder))
    exporter = _exporter(stack, dsn, f"http://{collector.otlp}")
    configuration = scraping({"collector": collector.metrics}, [rules])
    return Watched(exporter, stack.enter_context(a_prometheus(configuration, folder)))


def over_remote_write(stack: ExitStack, folder: Path, rules: Path, dsn: str) -> Watched:
    """App, exporter, Collector; the Collector writes to Prometheus, which scrapes nothing."""
    prometheus = stack.enter_context(
        a_prometheus(scraping({}, [rules]), folder, "--web.enable-remote-write-receiver")
    )
    url = f"{prometheus.url}/api/v1/write"
    collector = stack.enter_context(
        a_collector("backend-remote-write.yaml", folder, REMOTE_WRITE_URL=url)
    )
    return Watched(_exporter(stack, dsn, f"http://{collector.otlp}"), prometheus)


def over_two_tiers(stack: ExitStack, folder: Path, rules: Path, dsn: str) -> Watched:
    """App, exporter, a gateway, one of two backends; Prometheus scrapes both."""
    backends = [stack.enter_context(a_collector("backend-scraped.yaml", folder)) for _ in range(2)]
    addresses = ", ".join(backend.grpc for backend in backends)
    gateway = stack.enter_context(
        a_collector(
            "gateway.yaml", folder,
            POOLSCOPE_BACKENDS=f"[{addresses}]", BACKENDS_INSECURE="true",
        )
    )  # fmt: skip
    exporter = _exporter(stack, dsn, f"http://{gateway.otlp}")
    targets = {f"backend-{number}": each.metrics for number, each in enumerate(backends)}
    prometheus = stack.enter_context(a_prometheus(scraping(targets, [rules]), folder))
    return Watched(exporter, prometheus)


def over_the_otlp_receiver(stack: ExitStack, folder: Path, rules: Path, dsn: str) -> Watched:
    """App, exporter; the exporter pushes to Prometheus, which scrapes nothing."""
    # Without its last parts: it scrapes nothing here, and tells no Alertmanager.
    example = OTLP_EXAMPLE.read_text(encoding="utf-8").partition("alerting:")[0]
    configuration = example.replace("15s", "1s").replace("../../alerts", str(rules.parent))
    prometheus = stack.enter_context(
        a_prometheus(configuration, folder, "--web.enable-otlp-receiver", program=OTLP_PROMETHEUS)
    )
    return Watched(_exporter(stack, dsn, f"{prometheus.url}/api/v1/otlp"), prometheus)


Series = frozenset[tuple[str, str]]


def identity(labels: Mapping[str, str], names: frozenset[str]) -> Series:
    """Return those labels of a series; bounds as numbers, which transports write differently.

    To Prometheus an empty label is none.
    """
    return frozenset(
        (name, str(float(value)) if name == "le" else value)
        for name, value in labels.items()
        if name in names and value
    )
