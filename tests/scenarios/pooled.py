"""The run in which the app connects through PgBouncers: asked, impatient and hidden ones."""

from pathlib import Path
from typing import Any

from conformance.proxy import a_proxy
from poolscope_exporter.demo.ports import HOST
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from poolscope_generators.incident.pgbouncer import STATS_USER, Listening, PgBouncer
from poolscope_generators.scenarios.results import Run
from poolscope_generators.scenarios.scenario import Phase, Runs, Watcher
from scenarios.play import Play
from scenarios.sightings import Sightings
from scenarios.stage import Stage, a_stage

CLIENT_IDLE_S = 8
"""How long the impatient one bears a client that is idle; a busy machine polls late."""


def play_pooled(server: EmbeddedPostgres, where: str, folder: Path) -> Run:
    """Play every scenario behind PgBouncer; the server must be the run's own."""
    with a_stage(server, folder) as stage:
        bouncers = add_bouncers(stage)
        app = stage.start([Watcher.FULL])
        with Sightings(stage.exporters) as sightings:
            play = Play(stage, sightings, Runs.POOLED, set())
            play.begin(app)
            play.settle(Phase.RUNNING)
            play.check_the_way()
            play.check_metrics()
            play.restart_the_way()
            bouncers["bouncer"].kill()
            play.settle(Phase.DOWN)
    return Run(where, tuple(play.outcomes))


def add_bouncers(stage: Stage) -> dict[str, PgBouncer]:
    """Start the PgBouncers, and add the ways through them."""
    around = stage.stack.enter_context(a_proxy(stage.server.port))

    def start(way: str, before: Listening, **settings: Any) -> PgBouncer:
        bouncer = stage.stack.enter_context(PgBouncer(before, **settings))
        stage.add_way(way, bouncer.port)
        return bouncer

    bouncers = {
        "bouncer": start("bouncer", stage.server, default_pool_size=20),
        "small": start("small", stage.server, default_pool_size=1),
        "impatient": start("impatient", stage.server, client_idle_timeout=CLIENT_IDLE_S),
        "elsewhere": start("elsewhere", around),
    }
    stage.consoles += [each.console for each in bouncers.values()]
    unknown = start("pooler", stage.server)
    stage.aliases.append(f"{HOST}:{unknown.port}")
    hide(stage, start("hidden", stage.server))
    return bouncers


def hide(stage: Stage, bouncer: PgBouncer) -> None:
    """Put an address translation before a PgBouncer, and before its console."""
    proxy = stage.stack.enter_context(a_proxy(bouncer.port))
    stage.add_way("hidden", proxy.port)
    stage.consoles.append(f"postgresql://{STATS_USER}@{HOST}:{proxy.port}/pgbouncer")
