"""Play the incidents side by side, and write the record of each: `make incidents`.

`python -m incidents.play FOLDER [NAME …]`: all of them take 32 minutes, single ones start at once.
"""

import argparse
import asyncio
import signal
import sys
import tempfile
import traceback
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path

from incidents import app_stories, server_stories
from incidents.ground import Ground, shipped_delays
from incidents.looks import Looks
from incidents.scene import Scene, a_client
from incidents.table import BY_NAME, TRUTHS
from poolscope_generators.incidents.document import UNASSIGNED
from poolscope_generators.incidents.outcome import judge
from poolscope_generators.incidents.record import Delays, Record, write_record
from poolscope_generators.incidents.truth import Truth

Story = Callable[[Scene], Awaitable[None]]

STORIES: dict[str, Story] = {
    "leak-in-a-rare-path": app_stories.leak_in_a_rare_path,
    "leak-without-evidence": app_stories.leak_without_evidence,
    "slow-upstream-in-a-transaction": app_stories.slow_upstream,
    "lock-by-psql": server_stories.lock_by_psql,
    "slow-query": app_stories.slow_query,
    "pool-too-small": app_stories.pool_too_small,
    "nested-deadlock": app_stories.nested_deadlock,
    "synchronous-engine-on-the-loop": app_stories.synchronous_engine,
    "another-tenant-fills-the-server": server_stories.another_tenant,
    "pgbouncer-pool-cut": server_stories.pgbouncer_pool_cut,
    "proxy-closes-idle-sockets": server_stories.proxy_closes_idle_sockets,
    "postgresql-killed": server_stories.postgresql_killed,
    "role-cannot-log-in": server_stories.role_cannot_log_in,
    "exporter-killed": server_stories.exporter_killed,
    "network-cut-to-the-exporter": server_stories.network_cut,
    "grant-lost": server_stories.grant_lost,
    "misconfigured-pool": app_stories.misconfigured_pool,
    "hand-off-to-a-task": app_stories.hand_off,
    "session-healed-by-the-collector": app_stories.healed_by_the_collector,
}


async def play(
    scenes: Sequence[Scene], ground: Ground, results: Path, *, in_turn: bool = False
) -> None:
    """Play the incidents; all of them in their groups, single ones at once or in turn."""
    is_staggered = len(scenes) == len(TRUTHS)
    delays = shipped_delays()
    one_by_one = asyncio.Semaphore(1 if in_turn else len(scenes))

    async def play_one(scene: Scene) -> None:
        await asyncio.sleep(scene.truth.starts_s if is_staggered and not in_turn else 0)
        async with one_by_one:
            await _play_one(scene, looks, delays, results)

    with Looks(ground) as looks:
        async with asyncio.TaskGroup() as group:
            for scene in scenes:
                group.create_task(play_one(scene))
        assert not looks.errors, looks.errors


async def _play_one(scene: Scene, looks: Looks, delays: Delays, results: Path) -> None:
    _say(f"{scene.truth.name}: begins")
    try:
        await STORIES[scene.truth.name](scene)
    except Exception:  # noqa: BLE001 - the others are played to their end; the page misses this one
        _say(f"{scene.truth.name}: failed\n{traceback.format_exc()}")
        return
    finally:
        await scene.leave()
    record = scene.record(looks, delays)
    write_record(record, results)
    _say(f"{scene.truth.name}: {scene.calls}; {_in_short(record)}")


def _in_short(record: Record) -> str:
    outcome = judge(record)
    misses = ", ".join(outcome.misses)
    return f"misses {misses}" if misses else "meets every target"


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _unassigned(ground: Ground, scenes: Sequence[Scene]) -> list[str]:
    """Return the messages that belong to no incident."""
    return [
        f"{each.name} {dict(each.labels)}"
        for each in ground.webhook.told
        if not any(scene.concerns(each.labels) for scene in scenes)
    ]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, help="folder of the records")
    parser.add_argument("names", nargs="*", choices=[[], *BY_NAME], help="incidents (default: all)")
    parser.add_argument("--in-turn", action="store_true", help="one after another, for a try")
    parser.add_argument("--well", type=float, help="seconds before it, for a try")
    parser.add_argument("--lasts", type=float, help="seconds until the cure, for a try")
    parser.add_argument("--after", type=float, help="seconds to watch after the cure, for a try")
    return parser.parse_args()


def _shortened(
    truth: Truth, well_s: float | None, lasts_s: float | None, after_s: float | None
) -> Truth:
    """Return the truth as a try plays it; such a record is no outcome."""
    return replace(
        truth,
        well_s=well_s or truth.well_s,
        lasts_s=lasts_s or truth.lasts_s,
        watched_after_s=after_s or truth.watched_after_s,
    )


async def _play_truths(
    truths: Sequence[Truth], ground: Ground, given: argparse.Namespace
) -> list[Scene]:
    async with a_client() as client:
        scenes = [Scene(truth, ground, client) for truth in truths]
        await play(scenes, ground, given.results, in_turn=given.in_turn)
    return scenes


def main() -> None:
    """Play what the command line names, or all."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that nothing is left running
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's `&` ignores it
    given = _arguments()
    results: Path = given.results
    chosen = [BY_NAME[name] for name in given.names] or TRUTHS
    truths = [_shortened(truth, given.well, given.lasts, given.after) for truth in chosen]
    with (
        tempfile.TemporaryDirectory(prefix="poolscope-incidents-") as folder,
        Ground(Path(folder)) as ground,
    ):
        scenes = asyncio.run(_play_truths(truths, ground, given))
        (results / UNASSIGNED).write_text("\n".join(_unassigned(ground, scenes)))
        assert ground.prometheus.broken_rules() == []


if __name__ == "__main__":
    main()
