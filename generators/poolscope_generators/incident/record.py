"""Record the incident: `make incident` (about 14 minutes; PgBouncer and Prometheus needed).

Everything is real and lasts as long as it says: processes, pools, a PostgreSQL, a PgBouncer, the
exporter, and a Prometheus that scrapes it every 5 seconds with the shipped rules loaded. Only the
intervals of pushes and polls are shorter than their defaults (2 s for 5 s).
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from poolscope_generators.incident.recording import (
    SAMPLES,
    STORY,
    Phase,
    Story,
    write_samples,
    write_story,
)
from poolscope_generators.incident.services import SCRAPE_INTERVAL_S, Services, services
from poolscope_generators.incident.traffic import Traffic

SHOPS = ("shop-5f7c-a", "shop-5f7c-b", "shop-5f7c-c")
MENDED = ("shop-6b91-a", "shop-6b91-b", "shop-6b91-c")
BILLING = "billing-7d2e-a"
UNWANTED = ("scrape_", "ALERTS_FOR_STATE")
"""What Prometheus writes for itself, and no dashboard shows."""


@dataclass(slots=True)
class Stage:
    """What a phase may use."""

    services: Services
    traffic: Traffic
    strangers: list[asyncio.StreamWriter] = field(default_factory=list)

    def url(self, instance: str) -> str:
        """Return where a process is asked."""
        return self.services.running[instance].url


async def calm(stage: Stage) -> None:
    """Start the traffic that goes on through everything."""
    for shop in SHOPS:
        browse(stage, shop)
    stage.traffic.steady(stage.url(BILLING), "/ledger", 0.2)
    stage.traffic.steady(stage.url(BILLING), "/invoices", 0.2)


def browse(stage: Stage, shop: str) -> None:
    """Send a process of the shop what customers send, and now and then a report and a payment."""
    stage.traffic.steady(stage.url(shop), "/orders/{n}", 0.15)
    stage.traffic.steady(stage.url(shop), "/reports", 47)
    stage.traffic.steady(stage.url(shop), "/checkout?order_id={n}", 61)


async def leak(stage: Stage) -> None:
    """Ask one process often, and another seldom, for the page whose connection never returns."""
    stage.traffic.sick(stage.url(SHOPS[0]), "/orders/{n}/export", 11)
    stage.traffic.sick(stage.url(SHOPS[1]), "/orders/{n}/export", 40)


async def nothing(_: Stage) -> None:
    """Let go on what goes on."""


async def block(stage: Stage) -> None:
    """Pay the same order again and again; hold another pool's connections for nothing."""
    stage.traffic.sick(stage.url(SHOPS[1]), "/checkout?order_id=7", 0.8, "POST")
    stage.traffic.sick(stage.url(BILLING), "/ledger/close", 1.0)
    stage.traffic.sick(stage.url(BILLING), "/invoices/import", 1.4)


async def slow(stage: Stage) -> None:
    """Let a report be slow that everybody wants, a batch want more, and strangers come by."""
    stage.traffic.sick(stage.url(SHOPS[2]), "/reports", 0.5)
    stage.traffic.sick(stage.url(BILLING), "/ledger/batch", 1.0)
    stage.traffic.sick(stage.url(BILLING), "/legacy", 1.6)
    await disturb(stage)


async def disturb(stage: Stage) -> None:
    """Push what is no push, and begin a request without going on: the exporter refuses both."""
    exporter = stage.services.exporter
    await asyncio.to_thread(exporter.push, b"no push at all")
    host, _, port = exporter.otlp.rpartition("/")[2].partition(":")
    _, half_open = await asyncio.open_connection(host, int(port))
    half_open.write(b"POST /v1/metrics HTTP/1.1\r\n")
    stage.strangers.append(half_open)


async def restart_database(stage: Stage) -> None:
    """Do what is done in despair: it breaks every connection, and mends no leak."""
    server, bouncer = stage.services.server, stage.services.bouncer
    await asyncio.to_thread(bouncer.stop)
    await asyncio.to_thread(server.stop)
    await asyncio.sleep(6)
    await asyncio.to_thread(server.start)
    await asyncio.to_thread(bouncer.start)


async def deploy(stage: Stage) -> None:
    """Replace every process of the shop by one whose leak is mended; one dies without a word."""
    stage.traffic.stop()
    dying = SHOPS[2]
    stage.traffic.burst(stage.url(dying), ["/reports"] * 3)
    await asyncio.sleep(3)
    stage.services.running[dying].kill()
    for old, new in zip(SHOPS, MENDED, strict=True):
        await stage.services.stop(old)
        await stage.services.start_shop(new, mended=True)
        browse(stage, new)
        stage.traffic.steady(stage.url(new), "/orders/{n}/export", 11)
    stage.traffic.steady(stage.url(BILLING), "/ledger", 0.2)
    stage.traffic.steady(stage.url(BILLING), "/invoices", 0.2)


@dataclass(frozen=True, slots=True)
class Scene:
    """A phase before it is played."""

    name: str
    says: str
    lasts_s: float
    begin: Callable[[Stage], Awaitable[None]]


SCENES = (
    Scene("calm", "healthy traffic on three processes of shop and one of billing", 210, calm),
    Scene("leak", "one route of shop gives no connection back", 130, leak),
    Scene("exhausted", "the pool of one process is empty: callers wait and time out", 80, nothing),
    Scene(
        "blocked",
        "payments of one order wait for one another; billing holds connections it does not use",
        95,
        block,
    ),
    Scene("slow", "slow reports in shop, a batch too large for billing's pool", 75, slow),
    Scene("restart", "the database is restarted: sockets are stale, the leak is still there",
          50, restart_database),
    Scene("deploy", "shop is deployed with its leak mended", 30, deploy),
    Scene("recovered", "healthy traffic again", 200, nothing),
)  # fmt: skip


async def play(on: Services, pace: float) -> Story:
    """Play every scene; `pace` 2 plays twice as fast, to try the stage."""
    for shop in SHOPS:
        await on.start_shop(shop)
    await on.start_billing(BILLING)
    phases = []
    async with asyncio.TaskGroup() as tasks:
        stage = Stage(on, Traffic(tasks))
        for scene in SCENES:
            start = time.time()  # noqa: TID251 - the samples beside it have wall-clock times
            tell(f"{scene.name}: {scene.says}")
            await scene.begin(stage)
            passed = time.time() - start  # noqa: TID251 - as above
            await asyncio.sleep(max(scene.lasts_s / pace - passed, 0))
            stage.traffic.end_phase()
            phases.append(Phase(scene.name, scene.says, round(start), round(time.time())))  # noqa: TID251 - as above
        stage.traffic.stop()
        for stranger in stage.strangers:
            stranger.close()
    await stage.traffic.close()
    return Story(SCRAPE_INTERVAL_S, tuple(phases))


def save(on: Services, story: Story, samples: Path, told: Path) -> None:
    """Take everything that Prometheus stored between the two, and write it."""
    lasted_s = round(story.end - story.start)
    found = on.prometheus.instant(f'{{__name__!=""}}[{lasted_s}s]', story.end)
    kept = [each for each in found if not each["metric"]["__name__"].startswith(UNWANTED)]
    count = write_samples(kept, samples)
    write_story(story, told)
    tell(f"{len(kept)} series, {count} samples, {samples.stat().st_size} bytes")


def tell(text: str) -> None:
    """Say on the terminal how far it is."""
    print(text, flush=True)  # noqa: T201 - a command's own words


def main(arguments: Sequence[str] | None = None) -> int:
    """Play the story and write it."""
    parser = argparse.ArgumentParser(
        prog="poolscope_generators.incident.record", description=__doc__
    )
    parser.add_argument("--pace", type=float, default=1.0, help="divide the phases' durations")
    parser.add_argument("--samples", type=Path, default=SAMPLES)
    parser.add_argument("--story", type=Path, default=STORY)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="poolscope-incident-") as name:
        Path(name).chmod(0o755)
        with services(Path(name)) as on:
            story = asyncio.run(play(on, options.pace))
            save(on, story, options.samples, options.story)
    return 0


if __name__ == "__main__":
    sys.exit(main())
