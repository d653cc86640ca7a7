"""State of one phone between its opening and its closing, with waits that grow while WhatsApp refuses.

Promise: nothing here is needed after a crash; it is learned again from the next answers.
"""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field

from heliograph.domain.errors import Unavailable
from heliograph.domain.jobs.outcome import Scope
from heliograph.ports.provider import Phone, SessionState, Sink
from heliograph.providers.cloud.account import Account

_CHATS_REMEMBERED = 10_000


@dataclass(slots=True)
class CloudSession:
    phone: Phone
    account: Account | None
    sink: Sink
    state: SessionState = SessionState.CONNECTING
    detail: str = ""
    code: str = ""
    told: tuple[SessionState, str] | None = None
    doubt: asyncio.Event = field(default_factory=asyncio.Event)
    watch: asyncio.Task[None] | None = None
    down_until: float = 0.0
    phone_refusals: int = 0
    chat_refusals: OrderedDict[str, int] = field(default_factory=OrderedDict)

    async def tell(self, state: SessionState, detail: str, code: str = "") -> None:
        """Says it once. A store that cannot take it now hears it with the next change: no send fails for it."""
        self.state, self.detail, self.code = state, detail, code
        if self.told == (state, detail):
            return
        try:
            await self.sink.session(self.phone.phone_no, state, detail)
        except Unavailable:
            return
        self.told = (state, detail)

    def refusals(self, chat_id: str) -> int:
        return max(self.chat_refusals.get(chat_id, 0), self.phone_refusals)

    def refused(self, chat_id: str, scope: Scope) -> None:
        if scope is not Scope.CHAT:
            self.phone_refusals += 1
            return
        self.chat_refusals[chat_id] = self.chat_refusals.pop(chat_id, 0) + 1
        while len(self.chat_refusals) > _CHATS_REMEMBERED:
            self.chat_refusals.popitem(last=False)

    def went_through(self, chat_id: str) -> None:
        self.phone_refusals = 0
        self.chat_refusals.pop(chat_id, None)
