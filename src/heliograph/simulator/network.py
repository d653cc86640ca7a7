"""The simulated WhatsApp network: takes messages from phones, shows them, and sends back what people and servers would.

Promise: a message that was answered stands in the journal; a repeat of it is counted and shown once; what a phone has
not confirmed comes again when its line opens, also after this process was killed.
Known weakness: nothing is synced, so a machine that loses power may lose the last seconds.
"""

import asyncio
import sqlite3
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

import msgspec

from heliograph.domain.errors import CannotStart
from heliograph.ports.clock import Chance, Clock
from heliograph.ports.simulated_network import (
    Device,
    DeviceConnection,
    DeviceScope,
    NetworkReply,
    OutboundMessage,
    ReplyKind,
)
from heliograph.simulator.behaviours import (
    BEHAVIOURS,
    LOST_AFTER_S,
    PLAIN,
    Behaviour,
    Trouble,
    behaviour_of,
    trouble_answer,
)
from heliograph.simulator.device_session import DeviceSession, Due
from heliograph.simulator.device_troubles import NETWORK_OFFLINE, DeviceTroubles
from heliograph.simulator.due_events import DueEvents, Group, Owed
from heliograph.simulator.faults import Faults
from heliograph.simulator.journal import Arrival, Journal, JournalInUse, Settled
from heliograph.simulator.journal_reads import left_behind

TICK_S = 0.02  # what falls due within it is handed over together
_ACKNOWLEDGED = NetworkReply(ReplyKind.ACKNOWLEDGED)
_SILENT = NetworkReply(
    ReplyKind.SILENT, "no_acknowledgement", "WhatsApp took the message, but does not acknowledge it."
)
_LOST = NetworkReply(ReplyKind.LOST, "answer_lost", "The connection closed before WhatsApp's answer came.")
_CLOSED = NetworkReply(ReplyKind.DOWN, "not_connected", "The phone is not connected.")
_FAILED = NetworkReply(ReplyKind.NOT_TAKEN, "network_error", "WhatsApp could not take the message just now.")
_FULL = NetworkReply(ReplyKind.NOT_TAKEN, "journal_error", "The simulated network could not write its journal.")


class SimulatedNetwork:
    """ports.network.Network. Use through `open_network`; all but the journal's thread happens on one event loop."""

    def __init__(self, path: Path, clock: Clock, chance: Chance, *, receipts: bool = True) -> None:
        self.journal = Journal(path, self._written)
        self.clock = clock
        self.faults = Faults()
        self.contacts: dict[str, str] = {}
        self.sessions: dict[str, DeviceSession] = {}
        self.watchers: set[Callable[[Mapping[str, str]], None]] = set()  # told of changed contacts
        self._receipts = receipts
        self._chance = chance
        self._standing = DeviceTroubles(self.journal, clock, self._add, self._tell)
        self._schedule = DueEvents()
        self._scheduled = asyncio.Event()
        self._numbers = count(1)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._group: asyncio.TaskGroup | None = None

    # ---- what a phone asks ----

    async def connect(self, device: Device, line: DeviceConnection) -> None:
        await self.disconnect(device.device_id)
        assert self._group, "the network is not open"
        session = DeviceSession(device, line, self.journal, self.clock)
        self.sessions[device.device_id] = session
        self._tasks[device.device_id] = self._group.create_task(session.run(), name=f"line {device.device_id}")
        self._tell(device.device_id)
        await self.journal.rows("see_device", {"device": device.device_id, "number": device.number})

    async def disconnect(self, device_id: str, *, line: DeviceConnection | None = None) -> None:
        """With `line`: only if the device is still on that one."""
        session = self.sessions.get(device_id)
        if session is None or (line is not None and session.line is not line):
            return
        del self.sessions[device_id]
        task = self._tasks.pop(device_id)
        task.cancel()
        if task is not asyncio.current_task():
            await asyncio.wait([task])

    async def reconnect(self, device_id: str) -> None:
        if not await self._standing.restart(device_id):
            self._tell(device_id)

    def recognises(self, chat_id: str) -> bool:
        return behaviour_of(chat_id, self.contacts).recognised

    async def transmit(self, frame: OutboundMessage) -> NetworkReply:
        if frame.device_id not in self.sessions:
            return _CLOSED
        behaviour = behaviour_of(frame.chat_id, self.contacts)
        try:
            if behaviour is PLAIN and not self.faults.any and self._standing.free(frame.device_id):
                await self._take(frame, PLAIN)
                return _ACKNOWLEDGED
            return await self._meet(frame, behaviour)
        except sqlite3.Error:
            return _FULL

    async def _meet(self, frame: OutboundMessage, behaviour: Behaviour) -> NetworkReply:
        """A message under a fault, to a test recipient, or from a device in trouble."""
        faults = self.faults
        if faults.offline:
            return NETWORK_OFFLINE
        # drawn before anything is awaited: the same order of arrivals meets the same faults
        fails, loses = (self._chance.random() < rate for rate in (faults.transient_rate, faults.lost_answer_rate))
        latency_s = faults.latency_ms / 1000
        if refused := await self._held(frame):
            return refused
        if fails:
            return await self._later(latency_s, _FAILED)
        meets = await self._meets(frame, behaviour)
        if meets and behaviour.trouble:
            return await self._standing.impose(frame.device_id, frame.number, behaviour.trouble)
        if meets and behaviour.answer:
            return await self._later(latency_s, behaviour.answer)
        delay_s = latency_s + behaviour.slow_s
        await self._take(frame, behaviour, delay_s=delay_s)
        if loses or (meets and behaviour.lost):
            return await self._later(LOST_AFTER_S, _LOST)
        return await self._later(delay_s, _SILENT if behaviour.silent else _ACKNOWLEDGED)

    async def _later(self, delay_s: float, answer: NetworkReply) -> NetworkReply:
        if delay_s > 0:
            await self.clock.sleep(delay_s)
        return answer

    async def _held(self, frame: OutboundMessage) -> NetworkReply | None:
        found = self._standing.trouble(frame.device_id)
        if found is None or (found[0] is Trouble.NO_NEW_CHATS and await self._is_known(frame)):
            return None
        return trouble_answer(*found)

    async def _meets(self, frame: OutboundMessage, behaviour: Behaviour) -> bool:
        """Tells whether this arrival meets the recipient's behaviour, or comes after it."""
        if behaviour.trouble is Trouble.NO_NEW_CHATS and await self._is_known(frame):
            return False
        if behaviour.times is None:
            return True
        key = {"message_id": frame.message_id, "number": frame.number, "chat_id": frame.chat_id}
        [(times,)] = await self.journal.rows("turn", key)
        return int(times) <= behaviour.times

    async def _is_known(self, frame: OutboundMessage) -> bool:
        return bool(await self.journal.rows("known_chat", {"chat_id": frame.chat_id, "number": frame.number}))

    def _take(self, frame: OutboundMessage, behaviour: Behaviour, *, delay_s: float = 0.0) -> asyncio.Future[None]:
        now_us = self.clock.now_us()
        since_us = now_us + int(delay_s * 1e6)
        if behaviour.late and (session := self.sessions.get(frame.device_id)):
            since_us += int(session.device.ack_timeout_s * 1e6)
        steps = behaviour.steps if self._receipts and self.faults.receipts else ()
        return self.journal.arrive(
            Arrival(
                next(self._numbers),
                frame.device_id,
                frame.number,
                frame.chat_id,
                frame.message_id,
                behaviour.suffix,
                since_us,
                since_us + steps[0].delay_us if steps else 0,
                len(steps),
                0 if behaviour.silent else 1,
                now_us,
                frame.content,
                frame.quoted_id,
            )
        )

    # ---- what comes back ----

    def _tell(self, device_id: str) -> None:
        if session := self.sessions.get(device_id):
            session.tell(*self._standing.of(device_id))

    def _add(self, due_us: int, item: Group | Callable[[], None]) -> None:
        self._schedule.add(due_us, item)
        self._scheduled.set()

    def _written(self, rows: Sequence[Arrival]) -> None:
        groups: dict[tuple[str, int], list[Owed]] = defaultdict(list)
        for row in rows:
            if row.owed:
                wait_us = row.since_us - row.received_at_us
                groups[row.behaviour, wait_us].append(Owed(row.no, row.device_id, row.message_id, row.chat_id))
        for (name, wait_us), owed in groups.items():
            behaviour = BEHAVIOURS[name]
            since_us = rows[-1].received_at_us + wait_us
            self._add(since_us + behaviour.steps[0].delay_us, Group(behaviour, 0, owed))

    async def _run(self) -> None:
        while True:
            if self._schedule.next_us() is None:
                self._scheduled.clear()
                await self._scheduled.wait()
            for due_us, item in self._schedule.due(self.clock.now_us()):
                self._fall_due(due_us, item) if isinstance(item, Group) else item()
            await self.clock.sleep(TICK_S)

    def _fall_due(self, due_us: int, group: Group) -> None:
        steps = group.behaviour.steps
        left: list[int] = []
        for owed in group.owed:
            session = self.sessions.get(owed.device_id)
            if session is None or not session.hand(Due(owed, group.behaviour, group.step, due_us)):
                left.append(owed.no)
        if left:  # it has happened, and is owed until it is confirmed
            self.journal.settle(Settled(left, len(steps), 0, steps[group.step].ack))
        following = group.step + 1
        if following < len(steps):
            wait_us = steps[following].delay_us - steps[group.step].delay_us
            self._schedule.add(due_us + wait_us, Group(group.behaviour, following, group.owed))

    # ---- what a person changes (simulator.hand) ----

    async def set_faults(self, faults: Faults) -> None:
        value = msgspec.json.encode(faults).decode()
        await self.journal.rows("set_setting", {"name": "faults", "value": value})
        before, self.faults = self.faults, faults
        if faults.seed is not None:
            self._chance.seed(faults.seed)
        self._standing.offline = faults.offline
        if faults.offline != before.offline:
            for device_id in self.sessions:
                self._tell(device_id)

    def contacts_changed(self) -> None:
        for watch in self.watchers:
            watch(self.contacts)

    def forget_messages(self, share: DeviceScope) -> None:
        """The journal was emptied: nothing that came from it may still fall due."""
        self._schedule.forget_messages(share)
        for device_id, session in self.sessions.items():
            if device_id in share:
                session.forget()

    async def start(self, group: asyncio.TaskGroup) -> None:
        """Takes up where the network was: faults, contacts, devices in trouble, receipts still to come."""
        await self.journal.open()
        left = await self.journal.call(lambda db: left_behind(db, self.clock.now_us()))
        if left.faults:
            self.faults = msgspec.json.decode(left.faults, type=Faults)
            self._standing.offline = self.faults.offline
            if self.faults.seed is not None:
                self._chance.seed(self.faults.seed)
        self.contacts.update(left.contacts)
        self._numbers = count(left.last_no + 1)
        self._standing.restore(left.devices)
        for no, device_id, chat_id, message_id, name, since_us, owed in left.later:
            behaviour = BEHAVIOURS[name]
            step = len(behaviour.steps) - owed
            group_of_one = Group(behaviour, step, [Owed(no, device_id, message_id, chat_id)])
            self._add(since_us + behaviour.steps[step].delay_us, group_of_one)
        self._group = group
        self._tasks[""] = group.create_task(self._run(), name="simulator schedule")

    async def stop(self) -> None:
        for device_id in list(self.sessions):
            await self.disconnect(device_id)
        if schedule := self._tasks.pop("", None):
            schedule.cancel()
        await self.journal.close()


@asynccontextmanager
async def open_network(
    path: Path, clock: Clock, chance: Chance, *, receipts: bool = True
) -> AsyncIterator[SimulatedNetwork]:
    """The network on its file, running until the block ends. `receipts` False: never any, for load tests.

    Raises CannotStart if the file cannot be used. What the block raises comes out as it is, not in a group.
    """
    network = SimulatedNetwork(path, clock, chance, receipts=receipts)
    raised: BaseException | None = None
    async with asyncio.TaskGroup() as group:
        try:
            await network.start(group)
            yield network
        except JournalInUse:
            raised = CannotStart(
                f"The journal of the simulated network, {path}, is in use by another process. To share one network,"
                " run `heliograph simulator` and set HELIOGRAPH_SIMULATOR_URL in each; else set"
                " HELIOGRAPH_SIMULATOR_JOURNAL to a file of its own."
            )
        except sqlite3.Error as error:
            raised = CannotStart(
                f"The journal of the simulated network, {path}, cannot be used: {error}. Is there room?"
            )
        except BaseException as error:  # noqa: BLE001 - raised again below, outside of the group
            raised = error
        finally:
            await network.stop()
    if raised:
        raise raised
