"""The simulated WhatsApp network: takes messages from phones, shows them, and sends back what people and servers would.

Promise: a message that was answered stands in the journal; a repeat of it is counted and shown once; what a phone has
not confirmed comes again when its line opens, also after this process was killed.
Known weakness: two networks on one file do not know of each other.
"""

import asyncio
import sqlite3
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import msgspec

from heliograph.ports.clock import Chance, Clock
from heliograph.ports.network import Answer, Device, Frame, Line, Word
from heliograph.ports.provider import SessionState
from heliograph.simulator.behaviours import (
    BEHAVIOURS,
    HELD_S,
    LOST_AFTER_S,
    OFFLINE_S,
    PLAIN,
    Behaviour,
    Trouble,
    behaviour_of,
    trouble_answer,
)
from heliograph.simulator.faults import Faults
from heliograph.simulator.journal import SQL, Arrival, Journal, Settled
from heliograph.simulator.schedule import Group, Owed, Schedule
from heliograph.simulator.session import Due, Session

TICK_S = 0.02  # what falls due within it is handed over together
_ACKNOWLEDGED = Answer(Word.ACKNOWLEDGED)
_SILENT = Answer(Word.SILENT, "no_acknowledgement", "WhatsApp took the message, but does not acknowledge it.")
_LOST = Answer(Word.LOST, "answer_lost", "The connection closed before WhatsApp's answer came.")
_OFFLINE = Answer(Word.DOWN, "offline", "The simulated network is offline.")
_CLOSED = Answer(Word.DOWN, "not_connected", "The phone is not connected.")
_FAILED = Answer(Word.NOT_TAKEN, "network_error", "WhatsApp could not take the message just now.")
_FULL = Answer(Word.NOT_TAKEN, "journal_error", "The simulated network could not write its journal.")
_SESSION = {
    Trouble.LOGGED_OUT: SessionState.LOGGED_OUT,
    Trouble.OFFLINE: SessionState.OFFLINE,
    Trouble.REPLACED: SessionState.REPLACED,
    Trouble.RESTRICTED: SessionState.RESTRICTED,
    Trouble.NO_NEW_CHATS: SessionState.CONNECTED,
}
_LASTS_S = {Trouble.OFFLINE: OFFLINE_S, Trouble.RESTRICTED: HELD_S, Trouble.NO_NEW_CHATS: HELD_S}


@dataclass(frozen=True, slots=True)
class Held:
    """A device in trouble; `until_us` None: until it is restarted."""

    trouble: Trouble
    until_us: int | None

    def left_s(self, now_us: int) -> float:
        return 0.0 if self.until_us is None else (self.until_us - now_us) / 1e6


class SimulatedNetwork:
    """Use through `open_network`. Everything but the journal's thread happens on one event loop."""

    def __init__(self, path: Path, clock: Clock, chance: Chance) -> None:
        self.journal = Journal(path, self._written)
        self.faults = Faults()
        self.contacts: dict[str, str] = {}
        self.sessions: dict[str, Session] = {}
        self.clock = clock
        self._chance = chance
        self._held: dict[str, Held] = {}
        self._schedule = Schedule()
        self._scheduled = asyncio.Event()
        self._numbers = count(1)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._group: asyncio.TaskGroup | None = None

    async def restore(self) -> None:
        """Takes up where the network was: faults, contacts, devices in trouble, receipts to come."""
        await self.journal.open()
        now_us = self.clock.now_us()

        def load(db: sqlite3.Connection) -> tuple[Any, ...]:
            faults = db.execute(SQL["setting"], {"name": "faults"}).fetchone()
            later = db.execute(SQL["owed_later"], {"now": now_us}).fetchall()
            last = db.execute(SQL["last_no"]).fetchone()[0]
            return faults, db.execute(SQL["contacts"]).fetchall(), db.execute(SQL["devices"]).fetchall(), later, last

        faults, contacts, devices, later, last = await self.journal.call(load)
        if faults:
            self.faults = msgspec.json.decode(faults[0], type=Faults)
            self._chance.seed(self.faults.seed)
        self.contacts.update(contacts)
        self._numbers = count(last + 1)
        for device_id, _number, trouble, until_us in devices:
            if until_us is None or until_us > now_us:
                await self._hold(device_id, Held(Trouble(trouble), until_us))
        for no, device_id, chat_id, message_id, name, since_us, owed in later:
            behaviour = BEHAVIOURS[name]
            step = len(behaviour.steps) - owed
            group = Group(behaviour, step, [Owed(no, device_id, message_id, chat_id)])
            self._add(since_us + behaviour.steps[step].delay_us, group)

    async def serve(self, group: asyncio.TaskGroup) -> None:
        self._group = group
        self._tasks[""] = group.create_task(self._run(), name="simulator schedule")

    async def stop(self) -> None:
        for device_id in list(self._tasks):
            await self.disconnect(device_id)
        await self.journal.close()

    # ---- what providers ask (ports.network.Network) ----

    async def connect(self, device: Device, line: Line) -> None:
        await self.disconnect(device.device_id)
        session = Session(device, line, self.journal, self.clock)
        self.sessions[device.device_id] = session
        assert self._group, "the network is not open"
        self._tasks[device.device_id] = self._group.create_task(session.run(), name=f"line {device.device_id}")
        session.tell(*self._standing(device.device_id))
        seen = {"device": device.device_id, "number": device.number}
        await self.journal.rows("see_device", seen)

    async def disconnect(self, device_id: str) -> None:
        self.sessions.pop(device_id, None)
        task = self._tasks.pop(device_id, None)
        if task:
            task.cancel()
            if task is not asyncio.current_task():
                await asyncio.wait([task])

    async def reconnect(self, device_id: str) -> None:
        held = self._held.get(device_id)
        if held and held.until_us is None:
            await self._hold(device_id, None)
        elif session := self.sessions.get(device_id):
            session.tell(*self._standing(device_id))

    def recognises(self, chat_id: str) -> bool:
        return behaviour_of(chat_id, self.contacts).recognised

    async def transmit(self, frame: Frame) -> Answer:
        behaviour = behaviour_of(frame.chat_id, self.contacts)
        if frame.device_id not in self.sessions:
            return _CLOSED
        try:
            if behaviour is PLAIN and not self.faults.any and frame.device_id not in self._held:
                await self._take(frame, PLAIN)
                return _ACKNOWLEDGED
            return await self._meet(frame, behaviour)
        except sqlite3.Error:
            return _FULL

    async def _meet(self, frame: Frame, behaviour: Behaviour) -> Answer:
        """A message under a fault, to a test recipient, or from a device in trouble."""
        faults = self.faults
        if faults.offline:
            return _OFFLINE
        # drawn before anything is awaited: the same order of arrivals meets the same faults
        fails, loses = (self._chance.random() < rate for rate in (faults.transient_rate, faults.lost_answer_rate))
        latency_s = faults.latency_ms / 1000
        if refused := await self._held_answer(frame):
            return refused
        if fails:
            return await self._later(latency_s, _FAILED)
        meets = await self._meets(frame, behaviour)
        if meets and behaviour.trouble:
            return await self._befall(frame, behaviour.trouble)
        if meets and behaviour.answer:
            return await self._later(latency_s, behaviour.answer)
        delay_s = latency_s + behaviour.slow_s
        await self._take(frame, behaviour, delay_s=delay_s)
        if loses or (behaviour.lost and meets):
            return await self._later(LOST_AFTER_S, _LOST)
        return await self._later(delay_s, _SILENT if behaviour.silent else _ACKNOWLEDGED)

    async def _later(self, delay_s: float, answer: Answer) -> Answer:
        if delay_s > 0:
            await self.clock.sleep(delay_s)
        return answer

    async def _meets(self, frame: Frame, behaviour: Behaviour) -> bool:
        """Whether this arrival meets what the recipient is known for, or is past it."""
        if behaviour.trouble is Trouble.NO_NEW_CHATS and await self._is_known(frame):
            return False
        if behaviour.times is None:
            return True
        key = {"message_id": frame.message_id, "number": frame.number, "chat_id": frame.chat_id}
        [(times,)] = await self.journal.rows("turn", key)
        return int(times) <= behaviour.times

    async def _is_known(self, frame: Frame) -> bool:
        key = {"chat_id": frame.chat_id, "number": frame.number}
        return bool(await self.journal.rows("known_chat", key))

    def _take(self, frame: Frame, behaviour: Behaviour, *, delay_s: float = 0.0) -> asyncio.Future[None]:
        now_us = self.clock.now_us()
        since_us = now_us + int(delay_s * 1e6)
        if behaviour.late:
            since_us += int(self.sessions[frame.device_id].device.ack_timeout_s * 1e6)
        steps = behaviour.steps if self.faults.receipts else ()
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

    # ---- devices in trouble ----

    def _standing(self, device_id: str) -> tuple[SessionState, str]:
        if self.faults.offline:
            return SessionState.OFFLINE, _OFFLINE.detail
        held = self._held.get(device_id)
        if held is None:
            return SessionState.CONNECTED, ""
        return _SESSION[held.trouble], trouble_answer(held.trouble, 0).detail

    async def _held_answer(self, frame: Frame) -> Answer | None:
        held = self._held.get(frame.device_id)
        if held is None:
            return None
        left_s = held.left_s(self.clock.now_us())
        if held.until_us is not None and left_s <= 0:
            await self._hold(frame.device_id, None)
            return None
        if held.trouble is Trouble.NO_NEW_CHATS and await self._is_known(frame):
            return None
        return trouble_answer(held.trouble, left_s)

    async def _befall(self, frame: Frame, trouble: Trouble) -> Answer:
        lasts_s = _LASTS_S.get(trouble)
        until_us = None if lasts_s is None else self.clock.now_us() + int(lasts_s * 1e6)
        await self._hold(frame.device_id, Held(trouble, until_us))
        return trouble_answer(trouble, lasts_s or 0.0)

    async def _hold(self, device_id: str, held: Held | None) -> None:
        before = self._standing(device_id)
        if held:
            self._held[device_id] = held
            if held.until_us is not None:
                self._add(held.until_us, lambda: self._release(device_id, held))
        else:
            self._held.pop(device_id, None)
        session = self.sessions.get(device_id)
        if session and self._standing(device_id) != before:
            session.tell(*self._standing(device_id))
        row = {
            "device": device_id,
            "number": session.device.number if session else "",
            "trouble": held and held.trouble,
            "until_us": held and held.until_us,
        }
        await self.journal.rows("trouble", row)

    def _release(self, device_id: str, held: Held) -> None:
        if self._held.get(device_id) is not held:
            return
        before = self._standing(device_id)
        del self._held[device_id]  # the file keeps it until then; a start drops what is past
        session = self.sessions.get(device_id)
        if session and self._standing(device_id) != before:
            session.tell(*self._standing(device_id))

    async def set_faults(self, faults: Faults) -> None:
        before, self.faults = self.faults, faults
        if faults.seed is not None and faults != before:
            self._chance.seed(faults.seed)
        if faults.offline != before.offline:
            for device_id, session in self.sessions.items():
                session.tell(*self._standing(device_id))
        row = {"name": "faults", "value": msgspec.json.encode(faults).decode()}
        await self.journal.rows("set_setting", row)

    # ---- what comes back ----

    def forget_messages(self) -> None:
        self._schedule.forget_messages()
        for session in self.sessions.values():
            session.forget()

    def _add(self, due_us: int, item: Group | Callable[[], None]) -> None:
        self._schedule.add(due_us, item)
        self._scheduled.set()

    def _written(self, rows: Sequence[Arrival]) -> None:
        groups: dict[tuple[str, int], list[Owed]] = defaultdict(list)
        last_us = rows[-1].received_at_us
        for row in rows:
            if row.owed:
                wait_us = row.since_us - row.received_at_us
                groups[row.behaviour, wait_us].append(Owed(row.no, row.device_id, row.message_id, row.chat_id))
        for (name, wait_us), owed in groups.items():
            behaviour = BEHAVIOURS[name]
            self._add(last_us + wait_us + behaviour.steps[0].delay_us, Group(behaviour, 0, owed))

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
        if left:
            self.journal.settle(Settled(left, len(steps) - group.step, 0, steps[group.step].ack))
        following = group.step + 1
        if following < len(steps):
            wait_us = steps[following].delay_us - steps[group.step].delay_us
            self._schedule.add(due_us + wait_us, Group(group.behaviour, following, group.owed))


@asynccontextmanager
async def open_network(path: Path, clock: Clock, chance: Chance) -> AsyncIterator[SimulatedNetwork]:
    """The network on its file, running until the block ends."""
    network = SimulatedNetwork(path, clock, chance)
    await network.restore()
    async with asyncio.TaskGroup() as group:
        await network.serve(group)
        try:
            yield network
        finally:
            await network.stop()
