"""Send the demo's load to shops: healthy traffic, slow reports, payments, and exports that leak."""

import asyncio
import os

from poolscope_exporter.demo.load import run_load


async def main() -> None:
    """Run until the container ends; `SHOP_URLS` are base URLs, separated by commas."""
    shops = os.environ["SHOP_URLS"].split(",")
    await asyncio.gather(*(run_load(shop) for shop in shops))


if __name__ == "__main__":
    asyncio.run(main())
