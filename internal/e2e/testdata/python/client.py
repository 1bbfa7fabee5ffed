"""A client of wsecho with the websockets library of Python.

Usage: client.py SCENARIO URL [ARGUMENT]. It prints its results, and fails by an exception.

It needs websockets 10.4 or later. The package python3-websockets of Debian 12 has 10.4.
"""

import asyncio
import random
import sys
import time

from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.legacy.client import connect

UNLIMITED = dict(max_size=None, open_timeout=60, close_timeout=60)


async def echo(url):
    """Text and binary of many sizes come back as they were."""
    # Sizes at the boundaries of header forms and buffers.
    sizes = [0, 1, 125, 126, 127, 1000, 4095, 65535, 65536, 65537, 1 << 20]
    async with connect(url, **UNLIMITED) as ws:
        for size in sizes:
            text = ("é" + "x" * 7) * (size // 8) + "x" * (size % 8)
            binary = bytes(i % 251 for i in range(size))
            for message in (text, binary):
                await ws.send(message)
                got = await ws.recv()
                assert type(got) is type(message) and got == message, size
        print("echoed", 2 * len(sizes), "messages")


async def compressed(url):
    """The same with permessage-deflate, which the library offers by default."""
    async with connect(url, **UNLIMITED) as ws:
        assert [e.name for e in ws.extensions] == ["permessage-deflate"], ws.extensions
    await echo(url)


async def windows(url):
    """Random messages under every offer, with every window of the server."""
    seed = random.randrange(1 << 32)
    print("seed", seed)
    rng = random.Random(seed)
    offers = [
        dict(server_no_context_takeover=server, client_no_context_takeover=client)
        for server in (False, True)
        for client in (False, True)
    ]
    # zlib inflates with at least 9 bits, so the library refuses to offer 8.
    offers += [dict(server_max_window_bits=bits, client_max_window_bits=bits) for bits in range(9, 16)]
    for offer in offers:
        factory = ClientPerMessageDeflateFactory(**offer)
        async with connect(url, compression=None, extensions=[factory], **UNLIMITED) as ws:
            assert [e.name for e in ws.extensions] == ["permessage-deflate"], offer
            for n in range(40):
                unit = rng.randbytes(rng.choice([1, 10, 100, 1000, 10_000, 65_536]))
                size = rng.choice([0, 1, 127, 511, rng.randrange(1 << 12), rng.randrange(1 << 17)])
                message = (unit * (size // len(unit) + 1))[:size]
                if n % 3 == 0:
                    message = message.hex()[: len(message)]
                if n % 5 == 0 and message:
                    at = rng.randrange(len(message))
                    await ws.send([message[:at], message[:0], message[at:]])
                else:
                    await ws.send(message)
                got = await ws.recv()
                assert type(got) is type(message) and got == message, (offer, n, len(message), len(got))
    print("echoed", 40 * len(offers), "messages under", len(offers), "offers")


async def large(url):
    """The client sends 16 MiB before it reads."""
    async with connect(url, read_limit=1 << 12, max_queue=1, **UNLIMITED) as ws:
        message = bytes(range(256)) * (16 << 12)
        assert len(message) == 16 << 20
        await ws.send(message)
        assert await ws.recv() == message
        text = "text as well " * 1_000_000
        await ws.send(text)
        assert await ws.recv() == text
        print("echoed", len(message), "bytes")


async def pipelined(url):
    """The client sends a thousand messages before it reads the first answer."""
    async with connect(url, **UNLIMITED) as ws:
        for n in range(1000):
            await ws.send(str(n))
        for n in range(1000):
            assert await ws.recv() == str(n)
        print("echoed 1000 messages in order")


async def fragmented(url):
    """A message in fragments comes back whole, with pings in between."""
    async with connect(url, **UNLIMITED) as ws:

        async def parts():
            for n in range(100):
                if n % 10 == 0:
                    await (await ws.ping())
                yield f"part {n}, "

        await ws.send(parts())
        assert await ws.recv() == "".join(f"part {n}, " for n in range(100))
        await ws.send([b"\x00\xff", b"", b"\xc3", b"\x28"])
        assert await ws.recv() == b"\x00\xff\xc3\x28"
        print("echoed messages in fragments")


async def keepalive(url, timeout):
    """The keepalive of the library receives pongs from the idle server."""
    timeout = float(timeout)
    async with connect(url, ping_interval=0.2, ping_timeout=timeout) as ws:
        end = time.monotonic() + 4 + timeout
        while time.monotonic() < end:
            await asyncio.sleep(0.1)
            assert ws.open, (ws.close_code, ws.close_reason)
        assert ws.latency > 0, "received no pong"
        await ws.send("still here")
        assert await ws.recv() == "still here"
        print("alive with a ping timeout of", timeout, "s; the last pong took", ws.latency, "s")


async def pinged(url):
    """A client that only answers the server's pings stays connected."""
    async with connect(url, ping_interval=None, **UNLIMITED) as ws:
        await asyncio.sleep(3)
        assert ws.open, (ws.close_code, ws.close_reason)
        await ws.send("still here")
        assert await ws.recv() == "still here"
        print("still connected")


async def closing(url):
    """The server answers a close frame with the client's own code."""
    for code, reason in [(1000, ""), (1000, "bye"), (1001, "leaving"), (3000, "ours"), (4999, "é" * 61)]:
        ws = await connect(url, **UNLIMITED)
        await ws.send("last words")
        await ws.close(code, reason)
        assert ws.close_code == code, (code, ws.close_code)
        assert ws.close_rcvd.code == code, (code, ws.close_rcvd)
        assert ws.close_rcvd_then_sent is False
    print("the server answered each close code")


async def refused(url):
    """The close code names the reason. The server has a read limit of 1 MiB."""
    ws = await connect(url, **UNLIMITED)
    await send_all(ws, b"x" * ((1 << 20) + 1))
    await ended(ws, 1009)
    ws = await connect(url, **UNLIMITED)
    await ws.write_frame(True, 0x1, b"\xff\xfe")  # text that is not UTF-8
    await ended(ws, 1007)
    ws = await connect(url, **UNLIMITED)
    await ws.write_frame(True, 0x0, b"continues nothing")
    await ended(ws, 1002)
    print("1009, 1007 and 1002")


async def send_all(ws, message):
    try:
        await ws.send(message)
    except ConnectionClosed:
        pass  # the server closed before it read the whole message


async def ended(ws, code):
    try:
        got = await ws.recv()
    except ConnectionClosed as e:
        assert e.rcvd is not None and e.rcvd.code == code and e.rcvd.reason, e
    else:
        raise AssertionError(f"received {len(got)} bytes, want close code {code}")


async def drained(url):
    """A server that shuts down sends 1001 to idle and busy connections."""
    idle = await connect(url, **UNLIMITED)
    busy = await connect(url, **UNLIMITED)
    print("ready", flush=True)
    try:
        while True:
            await busy.send("x" * 1000)
            assert await busy.recv() == "x" * 1000
    except ConnectionClosed as e:
        assert e.rcvd is not None and e.rcvd.code == 1001 and e.rcvd.reason, e
    await ended(idle, 1001)
    print("received", idle.close_code, repr(idle.close_reason))



if __name__ == "__main__":
    asyncio.run(globals()[sys.argv[1]](*sys.argv[2:]))
