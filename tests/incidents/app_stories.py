"""The incidents that an app makes itself: each story does what the table says, in that order."""

import asyncio

from incidents.scene import Scene
from incidents.table import RARE_EVERY_S

HOARDS_EVERY_S = 60.0
HOARDED = 8
MAILS_EVERY_S = 8.0


async def leak_in_a_rare_path(scene: Scene) -> None:
    [shop] = await scene.service(pool_size=5, max_overflow=5)
    scene.send(shop, "GET", "/orders/1", 3)
    await scene.well()
    await scene.change(shop, leaks=1)
    scene.broken()
    scene.repeat(shop, "GET", "/orders/1/export", RARE_EVERY_S)
    await scene.lasts()
    await asyncio.to_thread(shop.release)
    scene.cured()
    await scene.watch()


async def leak_without_evidence(scene: Scene) -> None:
    workers = await scene.service(count=4, pool_size=5, max_overflow=5)
    for worker in workers:
        scene.send(worker, "GET", "/orders/1", 1.5)
    await scene.well()
    scene.broken()
    for _ in range(HOARDED):
        await scene.call(workers[0], "POST", "/cache")
        await asyncio.sleep(HOARDS_EVERY_S)
    await scene.lasts()
    await asyncio.to_thread(workers[0].release)
    scene.cured()
    await scene.watch()


async def slow_upstream(scene: Scene) -> None:
    [shop] = await scene.service()
    scene.send(shop, "GET", "/invoices/1", 2)
    await scene.well()
    await scene.change(shop, upstream_s=20)
    scene.broken()
    await scene.lasts()
    await scene.change(shop, upstream_s=0.05)
    scene.cured()
    await scene.watch()


async def slow_query(scene: Scene) -> None:
    [shop] = await scene.service()
    scene.send(shop, "GET", "/reports", 2)
    await scene.well()
    await scene.change(shop, report_s=8)
    scene.broken()
    await scene.lasts()
    await scene.change(shop, report_s=0.05)
    scene.cured()
    await scene.watch()


async def pool_too_small(scene: Scene) -> None:
    [shop] = await scene.service()
    await scene.change(shop, report_s=0.4)
    traffic = scene.send(shop, "GET", "/reports", 5)
    await scene.well()
    traffic.per_s = 28
    scene.broken()
    await scene.lasts()
    traffic.per_s = 5
    scene.cured()
    await scene.watch()


async def nested_deadlock(scene: Scene) -> None:
    [shop] = await scene.service()
    scene.send(shop, "GET", "/transfers", 12)
    await scene.well()
    await scene.change(shop, nests=1)
    scene.broken()
    await asyncio.gather(*(scene.call(shop, "GET", "/transfers") for _ in range(8)))
    await scene.lasts()
    await asyncio.to_thread(shop.release)
    scene.cured()
    await scene.watch()


async def synchronous_engine(scene: Scene) -> None:
    [shop] = await scene.service()
    scene.send(shop, "GET", "/prices", 1.2)
    await scene.well()
    await scene.change(shop, blocks=1)
    scene.broken()
    await scene.lasts()
    await asyncio.to_thread(shop.release)
    scene.cured()
    await scene.watch()


async def misconfigured_pool(scene: Scene) -> None:
    scene.broken()
    [shop] = await scene.service(max_overflow=30)
    scene.send(shop, "GET", "/orders/1", 1)
    await scene.lasts()
    await asyncio.to_thread(shop.release, {})
    scene.cured()
    await scene.watch()


async def hand_off(scene: Scene) -> None:
    [shop] = await scene.service()
    scene.send(shop, "GET", "/orders/1", 1)
    await scene.well()
    scene.broken()
    scene.send(shop, "POST", "/exports", 0.4)
    await scene.lasts()
    scene.cured()
    await scene.watch()


async def healed_by_the_collector(scene: Scene) -> None:
    [shop] = await scene.service()
    scene.send(shop, "GET", "/orders/1", 2)
    await scene.well()
    await scene.change(shop, forgets=1)
    scene.broken()
    scene.repeat(shop, "POST", "/mails", MAILS_EVERY_S)
    await scene.lasts()
    await asyncio.to_thread(shop.release)
    scene.cured()
    await scene.watch()
