"""The way to a simulated network in another process (HELIOGRAPH_SIMULATOR_URL): ports.network.Network over a WebSocket.

Promise: a confirmation goes out only after the line's call returned. When the socket breaks, what was under way may
have been taken (the answer is `lost`), the phones are offline, and come back by themselves.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import msgspec
import structlog

from heliograph.domain.messages.chat import test_suffix
from heliograph.ports import simulated_network_protocol as wire
from heliograph.ports.clock import Clock
from heliograph.ports.provider import SessionState
from heliograph.ports.simulated_network import Device, DeviceConnection, NetworkReply, OutboundMessage, ReplyKind

RECONNECT_S = 1.0
_HEARTBEAT_S = 15.0
_LOST = NetworkReply(
    ReplyKind.LOST, "answer_lost", "The connection to the simulated network closed before its answer came."
)
_UNRECOGNISED = "66"
_log = structlog.get_logger(__name__)


class RemoteNetwork:
    """Use through `open_remote_network`."""

    def __init__(self, url: str, session: aiohttp.ClientSession, clock: Clock) -> None:
        self._url = url.rstrip("/") + wire.PATH
        self._session = session
        self._clock = clock
        self._up = False
        self._lines: dict[str, tuple[Device, DeviceConnection]] = {}
        self._contacts: dict[str, str] = {}
        self._answers: dict[int, asyncio.Future[NetworkReply]] = {}
        self._numbers = itertools.count(1)
        self._out: list[wire.FromGateway] = []
        self._some = asyncio.Event()
        self._deliveries: dict[str, set[asyncio.Task[None]]] = {}
        self._away = NetworkReply(ReplyKind.DOWN, "network_away", f"The simulated network at {url} cannot be reached.")

    async def connect(self, device: Device, line: DeviceConnection) -> None:
        self._lines[device.device_id] = (device, line)
        if self._up:
            self._put(wire.Connect(device))
        else:
            await line.session(SessionState.CONNECTING, f"Waiting for the simulated network at {self._url}.")

    async def disconnect(self, device_id: str) -> None:
        if self._lines.pop(device_id, None) is None:
            return
        if self._up:
            self._put(wire.Disconnect(device_id))
        under_way = self._deliveries.pop(device_id, set()) - {asyncio.current_task()}
        for task in under_way:
            task.cancel()
        if under_way:
            await asyncio.wait(under_way)

    async def reconnect(self, device_id: str) -> None:
        if self._up:
            self._put(wire.Reconnect(device_id))

    def recognises(self, chat_id: str) -> bool:
        return (self._contacts.get(chat_id) or test_suffix(chat_id)) != _UNRECOGNISED

    async def transmit(self, frame: OutboundMessage) -> NetworkReply:
        if not self._up:
            return self._away
        n = next(self._numbers)
        answer: asyncio.Future[NetworkReply] = asyncio.get_running_loop().create_future()
        self._answers[n] = answer
        self._put(wire.Transmit(n, frame))
        try:
            return await answer
        finally:
            self._answers.pop(n, None)

    async def run(self) -> None:
        """Keeps the connection, for ever."""
        told = False
        while True:
            was_up = False
            try:
                async with self._session.ws_connect(
                    self._url, heartbeat=_HEARTBEAT_S, max_msg_size=wire.MAX_MESSAGE_BYTES
                ) as socket:
                    was_up = True
                    await self._use(socket)
            except (aiohttp.ClientError, TimeoutError, OSError, msgspec.DecodeError):
                pass  # tried again below; the phones are told what is the matter
            if was_up or not told:
                told = True
                await self._tell_away()
            await self._clock.sleep(RECONNECT_S)

    async def _use(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._out = [wire.Connect(device) for device, _ in self._lines.values()]
        self._some.set()
        self._up = True
        try:
            async with asyncio.TaskGroup() as group:
                writer = group.create_task(self._write(socket), name="simulator link writer")
                async for message in socket:
                    if message.type is not aiohttp.WSMsgType.TEXT:
                        break
                    for one in wire.decode_from_network(message.data):
                        self._hear(one, group)
                writer.cancel()
                for task in [task for tasks in self._deliveries.values() for task in tasks]:
                    task.cancel()
        finally:
            self._up = False
            for answer in self._answers.values():
                if not answer.done():
                    answer.set_result(_LOST)

    def _hear(self, said: wire.FromNetwork, group: asyncio.TaskGroup) -> None:
        match said:
            case wire.TransmitReply():
                answer = self._answers.get(said.n)
                if answer and not answer.done():
                    answer.set_result(said.answer)
            case wire.ContactBehaviours():
                self._contacts = said.behaviours
            case _:
                if known := self._lines.get(said.device_id):
                    task = group.create_task(self._deliver(said, known[1]))
                    tasks = self._deliveries.setdefault(said.device_id, set())
                    tasks.add(task)
                    task.add_done_callback(tasks.discard)

    async def _deliver(self, event: wire.Event, line: DeviceConnection) -> None:
        while True:
            try:
                match event:
                    case wire.Receipts():
                        await line.receipts(event.receipts)
                    case wire.InboundMessages():
                        await line.inbound(event.messages)
                    case wire.SessionChanged():
                        await line.session(event.state, event.detail)
            except Exception:  # noqa: BLE001 - supervised: the gateway could not store it now, it is tried again
                await self._clock.sleep(RECONNECT_S)
            else:
                self._put(wire.Confirm(event.n))
                return

    async def _tell_away(self) -> None:
        for device, line in list(self._lines.values()):
            try:
                await line.session(SessionState.OFFLINE, self._away.detail)
            except Exception as error:  # noqa: BLE001 - supervised: the link must come back whatever the gateway says
                _log.warning("simulator.link_state_untold", device=device.device_id, error=repr(error))

    def _put(self, one: wire.FromGateway) -> None:
        self._out.append(one)
        self._some.set()

    async def _write(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        while True:
            await self._some.wait()
            self._some.clear()
            while self._out:
                batch, self._out = self._out[: wire.BATCH], self._out[wire.BATCH :]
                try:
                    await socket.send_str(wire.encode(batch).decode())
                except ConnectionError:  # the reader sees the end of the socket, and ends all
                    return


@asynccontextmanager
async def open_remote_network(url: str, session: aiohttp.ClientSession, clock: Clock) -> AsyncIterator[RemoteNetwork]:
    """Connects, and connects again, until the block ends. What the block raises comes out as it is."""
    network = RemoteNetwork(url, session, clock)
    raised: BaseException | None = None
    async with asyncio.TaskGroup() as group:
        link = group.create_task(network.run(), name="simulator link")
        try:
            yield network
        except BaseException as error:  # noqa: BLE001 - raised again below, outside of the group
            raised = error
        finally:
            link.cancel()
    if raised:
        raise raised
