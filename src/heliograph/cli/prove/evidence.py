"""Evidence after a run: the network's journal over HTTP, and the store through its own verbs.

The two know nothing of each other: that is what makes the comparison worth something.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import aiohttp

from heliograph.cli.prove.load import NO_IDS, recipient
from heliograph.cli.prove.plan import ProofPlan
from heliograph.cli.prove.processes import ProofFailed, environment
from heliograph.domain.history_checker import JournalArrival
from heliograph.domain.jobs.job import Event, Job
from heliograph.domain.jobs.states import Ack

PAGE = 2000
MAX_ROWS = 100_000


@dataclass(frozen=True, slots=True)
class JournalEntry:
    arrivals: Sequence[JournalArrival]
    transmissions: int


@dataclass(frozen=True, slots=True)
class Kept:
    jobs: Sequence[Job]
    events: Sequence[Event]
    phones: dict[int, str]


async def _messages(http: aiohttp.ClientSession, network: str, key: str, phone: str) -> list[dict[str, Any]]:
    headers = {"Authorization": f"Bearer {key}"}  # asked for within the gateway, ignored by a network of its own
    query = {"from": phone, "limit": str(MAX_ROWS)}
    async with http.get(f"{network}/simulator/messages", params=query, headers=headers) as answer:
        if answer.status != 200:
            raise ProofFailed(f"the simulator shows no journal: {answer.status} {(await answer.text())[:300]}")
        rows: list[dict[str, Any]] = await answer.json()
    if len(rows) >= MAX_ROWS:
        raise ProofFailed(f"{phone} sent {MAX_ROWS:,} messages or more, which is more than the journal shows at once")
    return rows


async def journal(http: aiohttp.ClientSession, network: str, key: str, phones: Sequence[str]) -> JournalEntry:
    """Each phone's messages, oldest first. Order across phones is not asked for by any rule."""
    arrivals, transmissions = [], 0
    for phone in phones:
        for row in await _messages(http, network, key, phone):
            at = datetime.fromisoformat(row["received_at"].replace("Z", "+00:00"))
            arrivals.append(
                JournalArrival(
                    unique_id=row["message_id"],
                    phone=row["from"],
                    chat_id=row["chat_id"],
                    body=row["body"],
                    at_us=round(at.timestamp() * 1e6),
                    shown=row["shown"],
                    ack=row["ack"],
                )
            )
            transmissions += row["transmissions"]
    return JournalEntry(arrivals, transmissions)


async def all_read(http: aiohttp.ClientSession, network: str, key: str, phones: Sequence[str]) -> bool:
    """Tells whether the gateway has confirmed the last receipt of every message. (A recipient that knows no ids
    sends none.)
    """
    silent = recipient(NO_IDS)
    for phone in phones:
        if any(
            row["ack"] < Ack.READ and row["chat_id"] != silent for row in await _messages(http, network, key, phone)
        ):
            return False
    return True


async def read_store(plan: ProofPlan) -> Kept:
    """Every message with its events. The servers have been stopped."""
    from heliograph.app.database import open_stores
    from heliograph.settings import load_settings

    url = plan.database_url or f"sqlite:///{plan.folder / 'prove.db'}"
    jobs: list[Job] = []
    events: list[Event] = []
    async with open_stores(load_settings(environment({"DATABASE_URL": url}))) as stores:
        phones = {phone.phone_no: phone.number for phone in await stores.phones.phones(None)}
        for org in await stores.accounts.orgs():
            while page := await stores.jobs.jobs(org.org_no, None, limit=PAGE, offset=len(jobs)):
                jobs += page
            for job in jobs:
                events += await stores.jobs.history(org.org_no, job.job_id)
    return Kept(jobs, events, phones)
