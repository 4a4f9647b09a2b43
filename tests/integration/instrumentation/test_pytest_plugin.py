"""The pytest plugin on asynchronous tests, which need a driver that is asynchronous."""

import pytest

from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from support.applications.plugin_runs import PluginRuns, errors

pytest_plugins = "pytester"


def test_a_leak_of_an_asynchronous_test_is_found(
    pytester: pytest.Pytester, postgres: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_URL", postgres.sqlalchemy_url)
    runner = PluginRuns(pytester)
    result = runner.run_as_users_do(
        """
    @pytest.fixture
    def anyio_backend():
        return "asyncio"

    @pytest.fixture
    async def shop():
        engine = create_async_engine(os.environ["SHOP_URL"], pool_logging_name="shop")
        yield engine
        await engine.dispose()

    async def test_fine(shop):
        async with shop.connect():
            pass

    async def test_leaks(shop):
        kept.append(await shop.connect())  # the leak

    async def test_is_collected(shop):
        await shop.connect()  # the loss

    async def test_after(shop):
        kept.clear()
        gc.collect()
    """,
        "-o",
        "anyio_mode=auto",
    )
    result.assert_outcomes(passed=4, errors=2)
    assert errors(result) == ["test_leaks", "test_is_collected"]
    leak, loss = runner.line("# the leak"), runner.line("# the loss")
    result.stdout.fnmatch_lines([f"*:{leak} in test_leaks: pool shop, still out*"])
    result.stdout.fnmatch_lines([f"*:{loss} in test_is_collected: pool shop, garbage-collected*"])


def test_leaks_from_the_drivers_own_pools_are_found(
    pytester: pytest.Pytester, postgres: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_DSN", postgres.dsn)
    runner = PluginRuns(pytester)
    result = runner.run_as_users_do(
        """
    import asyncpg
    import psycopg_pool

    @pytest.fixture(scope="module")
    def anyio_backend():
        return "asyncio"

    @pytest.fixture(scope="module")
    async def asyncpg_pool():
        pool = await asyncpg.create_pool(os.environ["SHOP_DSN"], min_size=1, max_size=3)
        yield pool
        pool.terminate()

    @pytest.fixture(scope="module")
    def psycopg_pool_():
        pool = psycopg_pool.ConnectionPool(os.environ["SHOP_DSN"], min_size=1, open=True)
        yield pool
        pool.close(timeout=0)

    async def test_fine(asyncpg_pool, psycopg_pool_):
        async with asyncpg_pool.acquire() as connection:
            await connection.execute("select 1")
        await asyncpg_pool.fetch("select 1")
        with psycopg_pool_.connection() as connection:
            connection.execute("select 1")

    async def test_asyncpg(asyncpg_pool):
        kept.append(await asyncpg_pool.acquire())  # asyncpg's leak

    def test_psycopg_pool(psycopg_pool_):
        kept.append(psycopg_pool_.getconn())  # psycopg's leak

    def test_after():
        kept.clear()
        gc.collect()
    """,
        "-o",
        "anyio_mode=auto",
    )
    result.assert_outcomes(passed=4, errors=2)
    assert errors(result) == ["test_asyncpg", "test_psycopg_pool"]
    lines = [runner.line("# asyncpg's leak"), runner.line("# psycopg's leak")]
    result.stdout.fnmatch_lines([f"*:{line} in test_*: pool *, still out*" for line in lines])
