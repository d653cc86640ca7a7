"""The WebSocket of one gateway process: its phones' lines to this network.

Promise: what the gateway has not confirmed stays owed. A gateway that is gone closes only the lines that are still its.
"""

import asyncio
import itertools
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiohttp import WSMsgType, web

from heliograph.ports import simulated_network_protocol as wire
from heliograph.ports.provider import Inbound, Receipt, SessionState
from heliograph.simulator.network import SimulatedNetwork


@dataclass(slots=True, eq=False)
class RemoteConnection:
    """ports.network.Line of one device: returns when the gateway confirmed."""

    device_id: str
    ask: "Callable[[Callable[[int], wire.Event]], asyncio.Future[None]]"

    async def receipts(self, receipts: Sequence[Receipt]) -> None:
        await self.ask(lambda n: wire.Receipts(n, self.device_id, list(receipts)))

    async def inbound(self, messages: Sequence[Inbound]) -> None:
        await self.ask(lambda n: wire.InboundMessages(n, self.device_id, list(messages)))

    async def session(self, state: SessionState, detail: str) -> None:
        await self.ask(lambda n: wire.SessionChanged(n, self.device_id, state, detail))


@dataclass(slots=True, eq=False)
class GatewaySocket:
    network: SimulatedNetwork
    socket: web.WebSocketResponse
    lines: dict[str, RemoteConnection] = field(default_factory=dict)
    _out: list[wire.FromNetwork] = field(default_factory=list)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _some: asyncio.Event = field(default_factory=asyncio.Event)
    _asked: dict[int, asyncio.Future[None]] = field(default_factory=dict)
    _numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    async def serve(self) -> None:
        """Until the gateway closes the socket or is gone."""
        self.network.watchers.add(self._contacts)
        self._contacts(self.network.contacts)
        try:
            async with asyncio.TaskGroup() as group:
                self._start(group, self._write())
                await self._read(group)
                for left in (*self._tasks, *self._asked.values()):
                    left.cancel()
        finally:
            self.network.watchers.discard(self._contacts)
            for device_id, line in self.lines.items():
                await self.network.disconnect(device_id, line=line)

    async def _read(self, group: asyncio.TaskGroup) -> None:
        async for message in self.socket:
            if message.type is not WSMsgType.TEXT:
                return
            try:
                said = wire.decode_from_gateway(message.data)
            except msgspec.DecodeError as error:
                await self.socket.close(code=1007, message=str(error).encode()[:120])
                return
            for one in said:
                await self._hear(one, group)

    async def _hear(self, said: wire.FromGateway, group: asyncio.TaskGroup) -> None:
        match said:
            case wire.Transmit():
                self._start(group, self._transmit(said))
            case wire.Confirm():
                future = self._asked.pop(said.n, None)
                if future and not future.done():
                    future.set_result(None)
            case wire.Connect():
                line = RemoteConnection(said.device.device_id, self._ask)
                self.lines[said.device.device_id] = line
                await self.network.connect(said.device, line)
            case wire.Disconnect():
                if known := self.lines.pop(said.device_id, None):
                    await self.network.disconnect(said.device_id, line=known)
            case wire.Reconnect():
                await self.network.reconnect(said.device_id)

    def _start(self, group: asyncio.TaskGroup, work: Coroutine[Any, Any, None]) -> None:
        task = group.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _transmit(self, sent: wire.Transmit) -> None:
        self._put(wire.TransmitReply(sent.n, await self.network.transmit(sent.frame)))

    def _ask(self, event: Callable[[int], wire.Event]) -> asyncio.Future[None]:
        n = next(self._numbers)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._asked[n] = future
        self._put(event(n))
        return future

    def _contacts(self, contacts: Mapping[str, str]) -> None:
        self._put(wire.ContactBehaviours(dict(contacts)))

    def _put(self, one: wire.FromNetwork) -> None:
        self._out.append(one)
        self._some.set()

    async def _write(self) -> None:
        while True:
            await self._some.wait()
            self._some.clear()
            while self._out and not self.socket.closed:
                batch, self._out = self._out[: wire.BATCH], self._out[wire.BATCH :]
                try:
                    await self.socket.send_str(wire.encode(batch).decode())
                except ConnectionError:  # the reader sees the end of the socket, and ends all
                    return
