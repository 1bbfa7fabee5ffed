"""An echo server of the websockets library of Python, on a free port of loopback.

It prints its URL when it listens, and ends when stdin ends. It needs websockets 10.4
or later. It uses the library's default permessage-deflate, with context takeover unless
the client declines it.
"""

import asyncio
import sys

from websockets.legacy.server import serve


async def echo(ws, path=None):
    async for message in ws:
        await ws.send(message)


async def main():
    async with serve(echo, "127.0.0.1", 0, max_size=None, ping_interval=0.2, ping_timeout=60) as server:
        host, port = server.sockets[0].getsockname()
        print(f"ws://{host}:{port}/", flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


asyncio.run(main())
