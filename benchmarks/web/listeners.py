"""Many open pages, until the input ends: ``python -m benchmarks.web.listeners HOST PORT COUNT [QUERY]``.

They take what comes and look at nothing, behind everything else on the machine: what is measured is the
server, and a real page is on another machine.
"""

from __future__ import annotations

import asyncio
import os
import sys

NICENESS = 19
BYTES = 1 << 16


async def listen(host: str, port: int, query: str) -> None:
    """Hold one stream open, again when it ends."""
    while True:
        try:
            reading, writing = await asyncio.open_connection(host, port)
            writing.write(f"GET /stream?{query} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            while await reading.read(BYTES):
                pass
        except OSError:
            await asyncio.sleep(0.5)


async def main(host: str, port: int, count: int, query: str) -> None:
    """Listen until the input ends."""
    os.nice(NICENESS)
    tasks = [asyncio.create_task(listen(host, port, query)) for _ in range(count)]
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    for task in tasks:
        task.cancel()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), (sys.argv[4:] or [""])[0]))
