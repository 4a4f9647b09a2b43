"""The run in which the app connects to its server without a pooler."""

from pathlib import Path

from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from poolscope_generators.scenarios.results import Run
from poolscope_generators.scenarios.scenario import Phase, Runs, Watcher
from scenarios.app.pids import may_choose_pids
from scenarios.play import Play
from scenarios.sightings import Sightings
from scenarios.stage import a_stage

NEED_PIDS = {"lost_and_its_pid_reused", "held_beside_a_reused_pid"}


def play_direct(server: EmbeddedPostgres, where: str, folder: Path) -> Run:
    """Play every direct scenario on the server, which is the run's own; return what was said."""
    with a_stage(server, folder) as stage:
        app = stage.start(Watcher)
        left_out = set() if may_choose_pids() else NEED_PIDS
        with Sightings(stage.exporters) as sightings:
            play = Play(stage, sightings, Runs.DIRECT, left_out)
            play.begin(app)
            play.settle(Phase.RUNNING)
            play.check_the_way()
            play.check_the_first_moments()
            play.check_blockers()
            play.check_metrics()
            play.restart_the_way()
            server.stop()
            play.settle(Phase.DOWN)
            play.restart_the_way()
            server.start()
            play.settle(Phase.RESTARTED)
    return Run(where, tuple(play.outcomes))
