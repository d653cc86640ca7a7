"""One device's open line: hands over what comes for it, in order, and confirms in the journal what was taken.

Promise: what the gateway has not confirmed (its call returned) is handed over again, after a failure or a new start.
Known weakness: a receipt that was taken just before a kill may come twice.
"""

import asyncio
import hashlib
import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import structlog

from heliograph.ports.clock import Clock
from heliograph.ports.provider import Inbound, Receipt, SessionState
from heliograph.ports.simulated_network import Device, DeviceConnection
from heliograph.simulator.behaviours import BEHAVIOURS, Behaviour, RecipientAction, members
from heliograph.simulator.due_events import Owed
from heliograph.simulator.journal import SQL, Journal, Settled

MAX_WAITING = 5_000  # receipts held in memory for a slow gateway; further ones wait in the file
PAGE = 500
RETRY_S = 0.5
_log = structlog.get_logger(__name__)
_REPLIES = {RecipientAction.ECHO: "", RecipientAction.STOP: "STOP", RecipientAction.THUMB: "\N{THUMBS UP SIGN}"}


@dataclass(frozen=True, slots=True)
class Due:
    """A step of a message that has fallen due."""

    owed: Owed
    behaviour: Behaviour
    step: int
    at_us: int


@dataclass(slots=True)
class DeviceSession:
    """`behind`: what is due stands in the file and is read from there; `missed`: more came while it was read."""

    device: Device
    line: DeviceConnection
    journal: Journal
    clock: Clock
    up: bool = False
    behind: bool = True
    missed: bool = False
    mail: bool = True
    _due: list[Due] = field(default_factory=list)
    _states: list[tuple[SessionState, str]] = field(default_factory=list)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    def tell(self, state: SessionState, detail: str) -> None:
        self.up = state in (SessionState.CONNECTED, SessionState.RESTRICTED)
        self.behind = True
        self._due.clear()
        self._states.append((state, detail))
        self._wake.set()

    def hand(self, due: Due) -> bool:
        """False: it is not taken, and stays in the file."""
        if not self.up or self.behind or len(self._due) >= MAX_WAITING:
            self.behind = self.missed = True
            self._wake.set()
            return False
        self._due.append(due)
        self._wake.set()
        return True

    def has_mail(self) -> None:
        self.mail = True
        self._wake.set()

    def forget(self) -> None:
        self._due.clear()

    async def run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self._work()
            except Exception as error:  # noqa: BLE001 - a supervised loop: again from the file, after a while
                _log.warning("simulator.delivery_failed", device=self.device.device_id, error=repr(error))
                self._due.clear()
                self.behind = self.mail = True
                await self.clock.sleep(RETRY_S)
                self._wake.set()

    async def _work(self) -> None:
        while self._states:
            await self.line.session(*self._states[0])
            del self._states[0]
        if not self.up:
            return
        if self.mail:
            self.mail = False
            await self._deliver_mail()
        while self._due:
            batch, self._due = self._due, []
            await self._deliver(batch)
        while self.behind and self.up:
            self.missed = False
            await self._catch_up()
            self.behind = self.missed

    async def _catch_up(self) -> None:
        after = 0
        while self.up:
            find = {"device": self.device.device_id, "now": self.clock.now_us(), "after": after, "limit": PAGE}
            rows = await self.journal.rows("owed_page", find)
            if not rows:
                return
            now_us = self.clock.now_us()
            batch = []
            for no, chat_id, message_id, name, since_us, owed in rows:
                behaviour = BEHAVIOURS[name]
                first = len(behaviour.steps) - owed
                for index in range(first, len(behaviour.steps)):
                    at_us = since_us + behaviour.steps[index].delay_us
                    if at_us <= now_us:
                        batch.append(Due(Owed(no, self.device.device_id, message_id, chat_id), behaviour, index, at_us))
            await self._deliver(batch)
            after = rows[-1][0]

    async def _deliver(self, batch: Sequence[Due]) -> None:
        receipts = [receipt for due in batch for receipt in _receipts(due)]
        if receipts:
            await self.line.receipts(receipts)
        replies = [due for due in batch if due.behaviour.steps[due.step].reply]
        if replies:
            await self.line.inbound(await self._inbound(replies))
        confirmed: dict[tuple[str, int], list[int]] = defaultdict(list)
        for due in batch:
            confirmed[due.behaviour.suffix, due.step].append(due.owed.no)
        for (name, step), nos in confirmed.items():
            self.journal.settle(settled(BEHAVIOURS[name], step + 1, nos))

    async def _inbound(self, replies: Sequence[Due]) -> list[Inbound]:
        nos = [due.owed.no for due in replies]

        def bodies(db: sqlite3.Connection) -> list[str]:
            found = (db.execute(SQL["body"], {"no": no}).fetchone() for no in nos)
            return [(row and row[0]) or "" for row in found]

        texts = await self.journal.call(bodies)
        return [_reply(due, text) for due, text in zip(replies, texts, strict=True)]

    async def _deliver_mail(self) -> None:
        find = {"device": self.device.device_id}
        while rows := await self.journal.rows("mail_page", find):
            receipts = [msgspec.json.decode(body, type=Receipt) for _, kind, body in rows if kind == "receipt"]
            inbound = [msgspec.json.decode(body, type=Inbound) for _, kind, body in rows if kind == "inbound"]
            if receipts:
                await self.line.receipts(receipts)
            if inbound:
                await self.line.inbound(inbound)
            nos: dict[str, Any] = {"nos": msgspec.json.encode([no for no, _, _ in rows]).decode()}
            await self.journal.rows("mail_confirm", nos)


def settled(behaviour: Behaviour, done: int, nos: list[int]) -> Settled:
    """The first `done` steps of these messages were confirmed."""
    ack = max((step.ack for step in behaviour.steps[:done]), default=0)
    following = behaviour.steps[done].delay_us if done < len(behaviour.steps) else 0
    return Settled(nos, len(behaviour.steps) - done, following, ack)


def _receipts(due: Due) -> list[Receipt]:
    ack = due.behaviour.steps[due.step].ack
    if not ack:
        return []
    people: Sequence[str | None] = members(due.owed.chat_id) or (None,)
    return [Receipt(ack, due.at_us, due.owed.message_id, participant=person) for person in people]


def _reply(due: Due, text: str) -> Inbound:
    reply = due.behaviour.steps[due.step].reply
    assert reply
    digest = hashlib.sha256(due.owed.message_id.encode()).hexdigest()[:18].upper()
    kind = "reaction" if reply is RecipientAction.THUMB else "chat"
    raw = {"reacted_to": due.owed.message_id} if reply is RecipientAction.THUMB else {}
    return Inbound(
        f"3A{digest}",  # the same when it is handed over again
        due.owed.chat_id,
        (members(due.owed.chat_id) or (due.owed.chat_id,))[0],
        due.at_us,
        kind,
        text if reply is RecipientAction.ECHO else _REPLIES[reply],
        raw,
    )
