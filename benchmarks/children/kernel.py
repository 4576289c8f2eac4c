"""Boot an application without entries, say so, and tell the resident memory."""

import asyncio
import os

from wippy.app import App


async def main() -> None:
    async with App(None):
        with open("/proc/self/statm", encoding="ascii") as file:
            print(int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE"), flush=True)


asyncio.run(main())
