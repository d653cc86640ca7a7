"""The Cloud API behind the provider's port: one attempt is one POST, and what came of it is a value.

Promise: a message is never sent twice by this file; after a crash the queue asks the status webhook, not us.
Weakness: whether the answer "accepted" will be delivered is known only by later statuses.
"""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp

from heliograph.domain.errors import Invalid
from heliograph.domain.jobs.outcome import Accepted, NotSent, Outcome, Rejected, Scope, SessionDown, Throttled, Unknown
from heliograph.domain.messages.content import MEDIA_KINDS, Content, Kind
from heliograph.ports.clock import Clock
from heliograph.ports.provider import Phone, PhoneCheck, SendRequest, SessionState, Sink
from heliograph.ports.uploads import UploadStore
from heliograph.providers.cloud.account import Account, accept_account, parse_account, shown
from heliograph.providers.cloud.capabilities import CAPABILITIES, refusal
from heliograph.providers.cloud.error_codes import ERROR_RULES, ErrorAction
from heliograph.providers.cloud.graph_client import Graph, Lost, Phase, Timeouts
from heliograph.providers.cloud.media_uploads import MediaDesk, Uploaded
from heliograph.providers.cloud.message_payload import message_body
from heliograph.providers.cloud.phone_check import check_phone, read_phone
from heliograph.providers.cloud.responses import outcome_of
from heliograph.providers.cloud.session import CloudSession
from heliograph.providers.cloud.spec import SPEC

_PROBE_FIRST_S = 5.0
_MAX_PROBE_S = 60.0
_RESTRICTED_CODES = frozenset(row.code for row in ERROR_RULES.values() if row.means is ErrorAction.RESTRICTED)
_UNAUTHORIZED_CODES = frozenset(row.code for row in ERROR_RULES.values() if row.means is ErrorAction.UNAUTHORIZED)


class CloudProvider:
    """`session` is shared by all phones and stays its maker's to close. `allowed_base_urls`: see accept_account."""

    name = SPEC.name
    capabilities = CAPABILITIES

    def __init__(
        self,
        session: aiohttp.ClientSession,
        *,
        clock: Clock,
        uploads: UploadStore,
        allowed_base_urls: Sequence[str] = (),
        timeouts: Timeouts | None = None,
    ) -> None:
        self._graph = Graph(session, timeouts)
        self._clock = clock
        self._desk = MediaDesk(self._graph, uploads, clock.now_us)
        self._allowed = tuple(allowed_base_urls)
        self._sessions: dict[int, CloudSession] = {}
        self._app_waits: dict[str, float] = {}

    async def open(self, phone: Phone, sink: Sink) -> None:
        known = self._sessions.get(phone.phone_no)
        if known is not None and known.phone == phone and known.sink is sink:
            return
        await self.close(phone.phone_no)
        try:
            account = parse_account(phone.config)
        except Invalid as error:
            session = CloudSession(phone, None, sink)
            self._sessions[phone.phone_no] = session
            await session.tell(SessionState.UNAUTHORIZED, f"The Cloud API settings are not complete: {error.message}")
            return
        session = CloudSession(phone, account, sink)
        self._sessions[phone.phone_no] = session
        session.watch = asyncio.create_task(self._watch(session, account), name=f"cloud-{phone.phone_id}")

    async def close(self, phone_no: int) -> None:
        session = self._sessions.pop(phone_no, None)
        if session is not None and session.watch is not None:
            session.watch.cancel()
            await asyncio.gather(session.watch, return_exceptions=True)

    async def restart(self, phone_no: int) -> None:
        session = self._sessions.get(phone_no)
        if session is not None:
            await self.close(phone_no)
            await self.open(session.phone, session.sink)

    async def shutdown(self) -> None:
        for phone_no in list(self._sessions):
            await self.close(phone_no)

    def honours_client_id(self, content: Content, chat_id: str) -> bool:
        """Never: the API has no idempotency of any kind."""
        return False

    def refuses(self, content: Content, chat_id: str) -> tuple[str, str] | None:
        return refusal(content, chat_id)

    def accept_config(self, config: Mapping[str, Any]) -> dict[str, Any]:
        return accept_account(config, self._allowed)

    def show_config(self, config: Mapping[str, Any]) -> dict[str, Any]:
        return shown(config)

    async def check(self, phone: Phone) -> list[PhoneCheck]:
        return await check_phone(self._graph, phone)

    async def send(self, request: SendRequest) -> Outcome:
        session = self._sessions.get(request.phone.phone_no)
        if session is None:
            return SessionDown("not_open", "This phone is not open here.", 1.0)
        if session.account is None or session.state is SessionState.UNAUTHORIZED:
            return SessionDown(session.code or "unauthorized", session.detail)
        if (left := self._app_waits.get(_app(session.account), 0.0) - self._clock.monotonic()) > 0:
            return Throttled("app_limit", "The Meta app has used up its calls for now.", left, Scope.APP)
        outcome = await self._attempt(session, session.account, request)
        await self._learn(session, session.account, request.chat_id, outcome)
        return outcome

    async def _attempt(self, session: CloudSession, account: Account, request: SendRequest) -> Outcome:
        if (refused := _cannot(request)) is not None:
            return refused
        media: dict[str, str] | None = None
        cached = False
        if request.content.type in MEDIA_KINDS:
            found = await self._media(session.phone, account, request)
            if not isinstance(found, dict | Uploaded):
                return found
            media = found if isinstance(found, dict) else {"id": found.media_id}
            cached = isinstance(found, Uploaded) and found.cached
        answer = await self._graph.send(account, message_body(request, media))
        if isinstance(answer, Lost):
            return _lost(answer)
        outcome = outcome_of(answer, refusals=session.refusals(request.chat_id), cached_media=cached)
        if isinstance(outcome, NotSent) and outcome.code == "media_again" and request.content.media:
            await self._desk.forget(session.phone, request.content.media)
        return outcome

    async def _media(self, phone: Phone, account: Account, request: SendRequest) -> dict[str, str] | Uploaded | Outcome:
        media = request.content.media
        if media is not None and media.url and (account.media_by == "link" or request.media_path is None):
            return {"link": media.url}
        if media is None or request.media_path is None:
            return Rejected("media_missing", "The file is no longer in the media folder.")
        return await self._desk.media_id(phone, account, media, request.media_path)

    async def _learn(self, session: CloudSession, account: Account, chat_id: str, outcome: Outcome) -> None:
        """Keeps what the answer says of the phone, the chat or the app, so that the next send knows it.

        An answer to a session that was closed or re-keyed meanwhile says nothing of the one that is open now.
        """
        if self._sessions.get(session.phone.phone_no) is not session:
            return
        match outcome:
            case Accepted():
                session.went_through(chat_id)
                if session.state is not SessionState.CONNECTED:
                    await session.tell(SessionState.CONNECTED, "")
            case Throttled(scope=Scope.APP):
                session.refused(chat_id, outcome.scope)
                self._app_waits[_app(account)] = self._clock.monotonic() + outcome.retry_after_s
            case Throttled():
                session.refused(chat_id, outcome.scope)
            case SessionDown():
                session.down_until = self._clock.monotonic() + (outcome.retry_after_s or 0.0)
                await session.tell(_state_of(outcome.code), outcome.detail, outcome.code)
                session.doubt.set()
            case _:
                pass

    async def _watch(self, session: CloudSession, account: Account) -> None:
        """Finds out whether the phone can send, and again whenever a send came back in doubt.

        A restriction shows only in sends: when its time is over the phone counts as connected, and the next send tells.
        """
        wait_s = _PROBE_FIRST_S
        while True:
            try:
                found = await read_phone(self._graph, account)
                await session.tell(found.state, found.detail, found.code)
            except Exception:  # noqa: BLE001 - supervised: whatever it was, the phone is looked at again
                session.told = None
            if session.state is SessionState.CONNECTED and session.told is not None:
                await session.doubt.wait()
                wait_s = _PROBE_FIRST_S
            await self._clock.sleep(max(wait_s, session.down_until - self._clock.monotonic()))
            session.doubt.clear()
            wait_s = min(wait_s * 2, _MAX_PROBE_S)


def _cannot(request: SendRequest) -> Rejected | None:
    if (refused := refusal(request.content, request.chat_id)) is not None:
        return Rejected("unsupported", refused[1])
    if request.quoted_id is not None and request.quoted_id.startswith("3EB0"):
        return Rejected(
            "reply_unknown", "The message that is answered has no id at WhatsApp: it was not sent by this phone."
        )
    if request.content.type is Kind.REACTION and not request.quoted_id:
        return Rejected("reply_unknown", "A reaction must name the message it is for.")
    return None


def _lost(lost: Lost) -> Outcome:
    match lost.phase:
        case Phase.CONNECT:
            return SessionDown("offline", f"WhatsApp's servers cannot be reached: {lost.detail}.", _PROBE_FIRST_S)
        case Phase.REQUEST:
            return NotSent("connection_lost", f"Nothing was sent: {lost.detail}.")
        case Phase.ANSWER:
            return Unknown(
                "lost_answer", f"WhatsApp may have taken the message, but {lost.detail}: waiting for its status."
            )


def _state_of(code: str) -> SessionState:
    if code in _UNAUTHORIZED_CODES:
        return SessionState.UNAUTHORIZED
    return SessionState.RESTRICTED if code in _RESTRICTED_CODES else SessionState.OFFLINE


def _app(account: Account) -> str:
    """Phones of one Meta app share its secret; its digest names the app without showing it."""
    return account.base_url + hashlib.sha256(account.app_secret.encode()).hexdigest()
