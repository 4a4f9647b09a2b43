"""The incidents between an app and its data, and of what watches both."""

import asyncio
import os
import signal
import subprocess
from contextlib import suppress
from urllib.parse import urlsplit

import psycopg

from incidents.ground import MONITOR
from incidents.scene import Scene
from poolscope_exporter.demo.postgres_wheel import find_programs
from support.postgres.server import make_role, run_sql
from support.processes.black_hole import BlackHole
from support.processes.idle_proxy import IdleProxy

IDLE_S = 4.0
CUT_TO, WHOLE = 2, 20
LOCK_SQL = b"BEGIN;\nUPDATE stock SET amount = 0 WHERE id = 1;\n"


async def lock_by_psql(scene: Scene) -> None:
    [shop] = await scene.service()
    scene.send(shop, "POST", "/stock/1", 2)
    scene.send(shop, "GET", "/orders/1", 2)
    await scene.well()
    psql = await asyncio.to_thread(_open_psql, scene.ground.servers["main"].dsn)
    scene.broken()
    await scene.lasts()
    await asyncio.to_thread(psql.communicate)  # its input ends, and so does the session
    scene.cured()
    await scene.watch()


def _open_psql(dsn: str) -> "subprocess.Popen[bytes]":
    command = [str(find_programs(18).folder / "psql"), "-X", "-q", "-d", dsn]
    psql = subprocess.Popen(command, stdin=subprocess.PIPE, env={"PATH": os.environ["PATH"]})
    assert psql.stdin is not None
    psql.stdin.write(LOCK_SQL)
    psql.stdin.flush()
    return psql


async def another_tenant(scene: Scene) -> None:
    scene.names.add("tenants")
    [shop] = await scene.service("tenants", "b")
    await scene.change(shop, report_s=0.5)
    scene.send(shop, "GET", "/reports", 8)
    await scene.well()
    server = scene.ground.servers["tenants"]
    tenant = make_role(server, "tenant")
    taken: list[psycopg.Connection] = []
    filling = asyncio.create_task(_fill(tenant, taken))
    scene.broken()
    await scene.lasts()
    filling.cancel()
    for connection in taken:
        connection.close()
    scene.cured()
    await scene.watch()


async def _fill(dsn: str, taken: list[psycopg.Connection]) -> None:
    """Take each slot as soon as it is free."""
    while True:
        with suppress(psycopg.OperationalError):
            taken.append(await asyncio.to_thread(psycopg.connect, dsn, autocommit=True))
            continue
        await asyncio.sleep(0.1)


async def pgbouncer_pool_cut(scene: Scene) -> None:
    bouncer = scene.ground.bouncer
    scene.names |= {"pgbouncer", urlsplit(bouncer.console).netloc.partition("@")[2]}
    [shop] = await scene.service(
        dsn=bouncer.dsn, pool_size=10, max_overflow=5, behind_pgbouncer=True
    )
    await scene.change(shop, report_s=0.4)
    scene.send(shop, "GET", "/reports", 12)
    await scene.well()
    console = bouncer.console_for("postgres")
    await asyncio.to_thread(run_sql, console, f"SET default_pool_size = {CUT_TO}")
    await asyncio.to_thread(run_sql, console, "RECONNECT")
    scene.broken()
    await scene.lasts()
    await asyncio.to_thread(run_sql, console, f"SET default_pool_size = {WHOLE}")
    scene.cured()
    await scene.watch()


async def proxy_closes_idle_sockets(scene: Scene) -> None:
    server = scene.ground.servers["main"]
    async with IdleProxy(server.port) as proxy:
        dsn = scene.ground.dsn("main").replace(f":{server.port}/", f":{proxy.port}/")
        [shop] = await scene.service(dsn=dsn, pool_pre_ping=False)
        scene.send(shop, "GET", "/orders/1", 0.4)
        await scene.well()
        proxy.idle_timeout_s = IDLE_S
        scene.broken()
        await scene.lasts()
        proxy.idle_timeout_s = None
        scene.cured()
        await scene.watch()


async def postgresql_killed(scene: Scene) -> None:
    scene.names.add("killed")
    [shop] = await scene.service("killed", "b")
    scene.send(shop, "GET", "/orders/1", 3)
    await scene.well()
    server = scene.ground.servers["killed"]
    os.kill(server.pid, signal.SIGKILL)
    scene.broken()
    await scene.lasts()
    await asyncio.to_thread(server.stop)
    await asyncio.to_thread(server.start)
    scene.cured()
    await scene.watch()


async def role_cannot_log_in(scene: Scene) -> None:
    server = scene.ground.servers["main"]
    dsn = make_role(server, "orders")
    [shop] = await scene.service(dsn=dsn)
    scene.send(shop, "GET", "/orders/1", 3)
    await scene.well()
    run_sql(server.dsn, "ALTER ROLE orders NOLOGIN")
    end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'orders'"
    run_sql(server.dsn, end)
    scene.broken()
    await scene.lasts()
    run_sql(server.dsn, "ALTER ROLE orders LOGIN")
    scene.cured()
    await scene.watch()


async def exporter_killed(scene: Scene) -> None:
    exporter = scene.ground.exporters["d"]
    scene.names |= {"lost", urlsplit(exporter.web).netloc}
    [shop] = await scene.service("lost", "d")
    scene.send(shop, "GET", "/orders/1", 2)
    await scene.well()
    exporter.kill()
    scene.broken()
    await scene.lasts()
    await asyncio.to_thread(exporter.start)
    scene.cured()
    await scene.watch()


async def network_cut(scene: Scene) -> None:
    async with BlackHole(scene.ground.exporters["a"].otlp_port) as relay:
        [shop] = await scene.service(otlp=f"http://127.0.0.1:{relay.port}")
        scene.send(shop, "GET", "/orders/1", 2)
        await scene.well()
        relay.swallow()
        scene.broken()
        await scene.lasts()
        relay.forward()
        scene.cured()
        await scene.watch()


async def grant_lost(scene: Scene) -> None:
    scene.names.add("grants")
    server = scene.ground.servers["grants"]
    [shop] = await scene.service("grants", "c")
    scene.send(shop, "GET", "/orders/1", 2)
    await scene.well()
    run_sql(server.dsn, f"REVOKE pg_read_all_stats FROM {MONITOR}")
    scene.broken()
    await scene.lasts()
    run_sql(server.dsn, f"GRANT pg_read_all_stats TO {MONITOR}")
    scene.cured()
    await scene.watch()
