"""The echo server of Python's websockets, as its documentation has it.

It ends when its standard input ends, and after SIGTERM when its clients have closed.
"""

import asyncio
import json
import os
import signal
import ssl
import sys
import threading

import websockets
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory


def answer():
    for line in sys.stdin:
        print(line.strip(), "unknown", flush=True)
    os._exit(0)


async def echo(ws):
    try:
        async for message in ws:
            await ws.send(message)
    except websockets.ConnectionClosed:
        pass  # otherwise the library logs each connection that ends


async def main(options):
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)

    context = None
    if options["pem"]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options["pem"])
    extensions = None
    if options["compression"]:
        extensions = [
            ServerPerMessageDeflateFactory(
                server_no_context_takeover=True, client_no_context_takeover=True
            )
        ]
    pings = {}  # the default interval is 20 seconds
    if options["heartbeat"]:
        interval = options["heartbeat"] if options["heartbeat"] > 0 else None
        pings = {"ping_interval": interval, "ping_timeout": interval}
    server = await websockets.serve(
        echo,
        "127.0.0.1",
        0,
        ssl=context,
        compression=None,
        extensions=extensions,
        max_size=16 << 20,
        **pings,
    )
    host, port = next(iter(server.sockets)).getsockname()
    print(f"listening {host}:{port}", flush=True)
    threading.Thread(target=answer, daemon=True).start()

    await stop.wait()
    server.close()
    try:
        await asyncio.wait_for(server.wait_closed(), options["shutdown"])
    except asyncio.TimeoutError:
        pass  # a client has not answered its close frame
    os._exit(0)  # a thread may be reading standard input


asyncio.run(main(json.loads(sys.argv[1])))
