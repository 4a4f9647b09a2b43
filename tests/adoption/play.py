"""Play the applications side by side, and write the record of each: `make adopt`.

`python -m adoption.play ENVIRONMENTS RESULTS [--short] [NAME …]`.
"""

import argparse
import asyncio
import signal
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path

from adoption.ground import Ground
from adoption.lookout import AdoptionLooks
from adoption.pace import FULL, SHORT, Pace
from adoption.story import Stage, Story
from adoption.table import APPS, BY_NAME, OF_CI, App
from incidents.scene import a_client
from poolscope_generators.adoption.record import write_record


async def play(ground: Ground, pace: Pace, environments: Path, results: Path) -> list[str]:
    """Play all applications at once; return the names of those that failed."""
    failed: list[str] = []

    async def play_one(app: App) -> None:
        story = Story(app, stage)
        try:
            await story.play()
            write_record(story.record(), results)
        except Exception as error:  # noqa: BLE001 - the others are played to their end
            failed.append(app.name)
            _report(f"{app.name}: failed\n{traceback.format_exc()}")
            write_record(story.record(f"{error!r:.200}"), results)
        finally:
            await story.leave()

    with AdoptionLooks(ground) as looks:
        async with a_client() as client, asyncio.TaskGroup() as group:
            stage = Stage(ground, looks, pace, environments, client, _report)
            for app in ground.apps:
                group.create_task(play_one(app))
        assert not looks.errors, looks.errors
    return failed


def _report(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("environments", type=Path, help="folder of the environments")
    parser.add_argument("results", type=Path, help="folder of the records")
    parser.add_argument("names", nargs="*", choices=[[], *BY_NAME], help="(default: all)")
    parser.add_argument("--short", action="store_true", help="as CI does, without alerts")
    parser.add_argument("--calm", type=float, help="seconds of calm, for a try")
    return parser.parse_args()


def main() -> None:
    """Play the named applications; exit 1 if one could not be played."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that nothing is left running
    given = _arguments()
    given.results.mkdir(parents=True, exist_ok=True)
    apps: Sequence[App] = [BY_NAME[name] for name in given.names] or (
        [BY_NAME[name] for name in OF_CI] if given.short else APPS
    )
    pace = SHORT if given.short else FULL
    with (
        tempfile.TemporaryDirectory(prefix="poolscope-adoption-") as folder,
        Ground(Path(folder), apps, has_alerts=not given.short) as ground,
    ):
        calm = pace.with_calm(given.calm)
        failed = asyncio.run(play(ground, calm, given.environments.resolve(), given.results))
    sys.exit(f"not played to the end: {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
