"""A sample gateway for the dashboard: rows and counters as the ports would give them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from heliograph.domain.accounts.api_key import KeyRow, digest
from heliograph.domain.accounts.org import OrgRow
from heliograph.domain.accounts.phone import PhoneRow
from heliograph.domain.explain.explanation import describe
from heliograph.domain.jobs.ids import JobId
from heliograph.domain.jobs.job import Job, QueueCounts
from heliograph.domain.jobs.states import Priority, State
from heliograph.domain.messages.content import Content, Kind, Media, Poll
from heliograph.ports.stores.account_store import NewPageSession
from tests.kit.clocks import ManualClock

NOW_US = 1_795_000_000_000_000
KEY = "hg_a_key_that_this_server_knows"


def phone(no: int, number: str, name: str, state: str = "connected", **more: Any) -> PhoneRow:
    known: dict[str, Any] = dict.fromkeys(PhoneRow.__dataclass_fields__)
    known |= {
        "phone_no": no,
        "org_no": 1,
        "org_id": "o-1",
        "phone_id": f"phone-{no:016d}",
        "number": number,
        "provider": "simulator",
        "name": name,
        "image": "",
        "labels": (),
        "state": state,
        "state_detail": "",
        "state_at_us": NOW_US,
        "pacing": "none",
        "config": "{}",
        "created_at_us": NOW_US,
        "updated_at_us": NOW_US,
    }
    return PhoneRow(**(known | more))


def job(no: int, chat: str, body: str, state: State = State.SENT, age_s: float = 5, **more: Any) -> Job:
    known: dict[str, Any] = dict.fromkeys(Job.__struct_fields__)
    known |= {
        "job_id": JobId((1 << 50) + no),
        "org_no": 1,
        "phone_no": 1,
        "chat_id": chat,
        "priority": Priority.NORMAL,
        "seq": no,
        "state": state,
        "content": Content(Kind.TEXT, body),
        "attempts": 1 if state is not State.QUEUED else 0,
        "starts": 0,
        "maybe_sent": False,
        "ack": 0,
        "performed_by": "api",
        "events": 1,
        "queued_at_us": NOW_US - int(age_s * 1e6),
    }
    return Job(**(known | more))


ROOF = Content(Kind.IMAGE, "The view from the roof", Media("image/png", "roof.png"))
LUNCH = Content(Kind.POLL, poll=Poll("Lunch on Friday?", ("Pizza", "Soup")))
PHONES = [
    phone(1, "919876543210", "Support"),
    phone(2, "12025550123", "Sales", "logged_out", state_detail="scan the code again"),
    phone(3, "447700900123", "Alerts", paused_at_us=NOW_US, paused_by="asha"),
]
JOBS = [
    job(9, "12025550100@c.us", "Your order 8841 has left the warehouse.", State.QUEUED, 0.4),
    job(8, "919537851844@c.us", "Namaste! Your table is booked for 8 pm, <b>see you</b>.", State.SENDING, 0.9),
    job(7, "12025550110@c.us", "One-time code 118 203", State.QUEUED, 3, attempts=1, not_before_us=NOW_US + 4_000_000,
        reason="connection_lost", detail="The connection was lost before the message was taken."),
    job(6, "12025550162@c.us", "Are you still there?", State.UNCERTAIN, 31, maybe_sent=True),
    job(5, "12025550100@c.us", "", ack=4, age_s=33, content=ROOF),
    job(4, "120363297269676566@g.us", "", ack=3, age_s=62, content=LUNCH),
    job(3, "447700900555@c.us", "Thanks, that is all we needed. " * 6, ack=2, age_s=95),
    job(2, "12025550140@c.us", "Hello?", State.FAILED, 400, detail="The number is not on WhatsApp."),
    job(1, "12025550144@c.us", "Sale ends today", State.CANCELLED, 4000, reason="purged"),
]  # fmt: skip


class Store:
    """The parts of the store that the page reads."""

    def __init__(self, phones: list[PhoneRow] = PHONES, jobs: list[Job] = JOBS) -> None:
        self.phone_rows = phones
        self.job_rows = jobs
        first = QueueCounts(waiting=212, active=3, completed=20_412, failed=14, uncertain=2)
        self.counts = {1: first, 2: QueueCounts(waiting=1072)} if jobs else {}
        self.asked = self.asked_keys = 0
        self.sessions: list[NewPageSession] = []
        self.clock = ManualClock(NOW_US)
        self.revoked = False

    async def health_of_phones(self, org_no: int) -> dict[int, QueueCounts]:
        assert org_no == 1
        self.asked += 1
        return self.counts

    async def phones(self, org_no: int | None) -> list[PhoneRow]:
        assert org_no == 1
        return self.phone_rows

    async def jobs(self, org_no: int, phone_no: int | None, *, limit: int = 2000, offset: int = 0) -> list[Job]:
        assert org_no == 1
        return self.job_rows[offset : offset + limit]

    async def explain_many(self, jobs: Sequence[Job]) -> list[str]:
        phones = {phone.phone_no: phone for phone in self.phone_rows}
        return [describe(job, now_us=self.clock.now_us(), phone=phones.get(job.phone_no), ahead=37) for job in jobs]

    async def orgs(self) -> list[OrgRow]:
        return [OrgRow(1, "o-1", "First", NOW_US)]

    async def begin_page_session(self, new: NewPageSession) -> bool:
        if new.link and any(new.link == one.link for one in self.sessions):
            return False
        self.sessions.append(new)
        return True

    async def page_session(self, digest: str) -> int | None:
        found = [one.org_no for one in self.sessions if one.digest == digest and one.ends_at_us > self.clock.now_us()]
        return found[0] if found and not self.revoked else None

    async def end_page_session(self, digest: str) -> None:
        self.sessions = [replace(one, ends_at_us=0) if one.digest == digest else one for one in self.sessions]

    async def key_by_digest(self, wanted: bytes) -> KeyRow | None:
        self.asked_keys += 1
        known = KeyRow(1, 1, "o-1", "First", "first", KEY[:11], NOW_US, None, None)
        return known if wanted == digest(KEY) else None
