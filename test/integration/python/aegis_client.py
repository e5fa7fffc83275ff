"""A client of the Aegis protocol in Python, written from docs/PROTOCOL.md alone. Knows nothing of the server's code."""

import asyncio
import itertools

import msgpack
import websockets

REQ, RES, EVT, PING, PONG, GOAWAY, WELCOME = 0, 1, 3, 7, 8, 9, 10


class Refused(Exception):
    """The server's error map: code, reason, message, retryable, and perhaps retryAfterMs and details."""

    def __init__(self, error):
        super().__init__(f"{error.get('code')}/{error.get('reason')}: {error.get('message')}")
        self.error = error


class Client:
    """One connection. Requests may be in flight together; each is answered by its own future."""

    def __init__(self, socket):
        self._socket = socket
        self._ids = itertools.count(1)
        self._waiting = {}
        self.welcome = asyncio.get_running_loop().create_future()
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def connect(cls, url, token):
        socket = await websockets.connect(
            url,
            subprotocols=["aegis.v1"],
            extra_headers={"Authorization": f"Bearer {token}"},
            compression=None,
            max_size=8 * 1024 * 1024,
        )
        return cls(socket)

    async def call(self, method, params=None, key=None, ttl_ms=None):
        identifier = next(self._ids)
        answer = asyncio.get_running_loop().create_future()
        self._waiting[identifier] = answer
        meta = {}
        if key is not None:
            meta["key"] = key
        if ttl_ms is not None:
            meta["ttlMs"] = ttl_ms
        await self._socket.send(msgpack.packb([REQ, identifier, method, params or {}, meta]))
        return await asyncio.wait_for(answer, 30)

    async def _read(self):
        try:
            async for message in self._socket:
                # One WebSocket message holds one or more frames back to back.
                frames = msgpack.Unpacker(raw=False, strict_map_key=True)
                frames.feed(message)
                for frame in frames:
                    await self._take(frame)
        finally:
            for answer in self._waiting.values():
                if not answer.done():
                    answer.set_exception(ConnectionError("the connection ended"))

    async def _take(self, frame):
        if frame[0] == RES:
            _, identifier, error, result = frame
            answer = self._waiting.pop(identifier)
            if error is None:
                answer.set_result(result)
            else:
                answer.set_exception(Refused(error))
        elif frame[0] == WELCOME:
            self.welcome.set_result(frame[1])
        elif frame[0] == PING:
            await self._socket.send(msgpack.packb([PONG, frame[1]]))

    async def close(self):
        await self._socket.close()
        await self._reader
