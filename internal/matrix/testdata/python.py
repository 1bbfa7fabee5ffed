"""A server of Python's websockets that misbehaves as the query of a URL requests.

It ends when its standard input ends. It needs the API of websockets 10.
"""

import asyncio
import http
import json
import os
import random
import socket
import struct
import sys
import threading
import urllib.parse

import websockets
from websockets.frames import OP_TEXT
from websockets.legacy.server import WebSocketServerProtocol, serve


def seconds(text):
    return float(text[:-2]) / 1000 if text.endswith("ms") else float(text[:-1])


class Faulty(WebSocketServerProtocol):
    answered = 0

    async def process_request(self, path, headers):
        url = urllib.parse.urlsplit(path)
        self.faults = dict(urllib.parse.parse_qsl(url.query))
        if url.path.count("/") == 2:  # such as /close/4001
            self.faults.update([url.path[1:].split("/")])
        if "hold" in self.faults:
            await asyncio.sleep(seconds(self.faults["hold"]))
        if "status" in self.faults:
            return http.HTTPStatus(int(self.faults["status"])), [], b""
        return None

    def write_http_response(self, status, headers, body=None):
        if "accept" in self.faults:
            del headers["Sec-WebSocket-Accept"]
            headers["Sec-WebSocket-Accept"] = "AAAAAAAAAAAAAAAAAAAAAAAAAAA="
        super().write_http_response(status, headers, body)

    async def pong(self, data=b""):
        how = self.faults.get("pong", "all")
        if how == "off":
            return
        if how == "other":
            data = b"another"
        elif how.startswith("late:"):
            asyncio.get_running_loop().call_later(seconds(how[5:]), lambda: asyncio.ensure_future(self.late(data)))
            return
        elif how != "all":
            self.answered += 1
            if self.answered > int(how):
                return
        await super().pong(data)

    async def late(self, data):
        try:
            await super().pong(data)
        except websockets.ConnectionClosed:
            pass

    async def act(self):
        faults = self.faults
        if "utf8" in faults:
            await self.write_frame(True, OP_TEXT, b"ba\xffd")
        if "garbage" in faults:
            self.transport.write(b"\x83\0")
        if "truncate" in faults:
            self.transport.write(b"\x82\x7e\0\xc8truncated")
        if "close" in faults:
            await self.close(int(faults["close"]), faults.get("reason", ""))
        elif faults.get("drop") == "rst":
            linger = struct.pack("ii", 1, 0)
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.transport.abort()
        elif "drop" in faults or "truncate" in faults:
            self.transport.write_eof()

    async def act_later(self):
        await asyncio.sleep(seconds(self.faults.get("after", "0ms")))
        await self.act()

    async def send_pings(self):
        while True:
            await asyncio.sleep(seconds(self.faults["ping"]))
            await self.ping()

    async def send_messages(self):
        for _ in range(int(self.faults["send"])):
            await asyncio.sleep(seconds(self.faults.get("every", "1s")))
            await self.send("no echo")

    async def echoes(self):
        faults = self.faults
        echoed = 0
        async for message in self:
            wait = seconds(faults.get("delay", "0s"))
            if "jitter" in faults:
                wait += random.uniform(-1, 1) * seconds(faults["jitter"])
            await asyncio.sleep(max(0, wait))
            if "fragment" in faults:
                size = int(faults["fragment"])
                await self.send([message[at : at + size] for at in range(0, len(message), size)])
            else:
                await self.send(message)
            echoed += 1
            if str(echoed) == faults.get("after"):
                await self.act()


async def handle(ws, path=None):
    faults = ws.faults
    beside = []
    try:
        if "hello" in faults:
            await ws.send(json.dumps({"remote": ws.remote_address}))
        if faults.get("read") == "stall":
            ws.transport.pause_reading()
        if faults.get("after", "0ms").endswith("s"):
            beside.append(asyncio.ensure_future(ws.act_later()))
        if "ping" in faults:
            beside.append(asyncio.ensure_future(ws.send_pings()))
        if "send" in faults:
            beside.append(asyncio.ensure_future(ws.send_messages()))
        await ws.echoes()
        await ws.wait_closed()  # a return would close it
    except websockets.ConnectionClosed:
        pass
    finally:
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)


def end():
    sys.stdin.read()
    os._exit(0)


async def main():
    async with serve(
        handle, "127.0.0.1", 0, create_protocol=Faulty, compression=None, ping_interval=None
    ) as server:
        host, port = server.sockets[0].getsockname()
        print(f"listening {host}:{port}", flush=True)
        threading.Thread(target=end, daemon=True).start()
        await asyncio.Future()


asyncio.run(main())
