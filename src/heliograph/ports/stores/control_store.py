"""Operator actions on queues: holds, retries, the suppression list, the audit log."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from heliograph.domain.jobs.ids import JobId


@dataclass(frozen=True, slots=True)
class HoldRow:
    """A hold. `target`: `phone`, `chat:ID` or `broadcast:NO`."""

    target: str
    actor: str
    reason: str
    at_us: int


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """An action of somebody on a queue."""

    at_us: int
    actor: str
    act: str
    target: str
    detail: str
    phone_no: int | None


@dataclass(frozen=True, slots=True)
class Suppressed:
    """A chat that must not be written to in bulk."""

    chat_id: str
    reason: str
    actor: str
    at_us: int


class ControlStore(Protocol):
    """Actions of operators. `actor` and `reason` are kept in the audit log."""

    async def pause_phone(self, org_no: int, phone_no: int, actor: str, reason: str = "") -> bool:
        """Holds a phone: nothing of it starts after the commit. Returns False if it is held already."""
        ...

    async def resume_phone(self, org_no: int, phone_no: int, actor: str) -> bool:
        """Ends the hold of a phone. Returns False if there is none."""
        ...

    async def pause_chat(self, org_no: int, phone_no: int, chat_id: str, actor: str, reason: str = "") -> bool:
        """Holds a chat of a phone. Returns False if it is held already."""
        ...

    async def resume_chat(self, org_no: int, phone_no: int, chat_id: str, actor: str) -> bool:
        """Ends the hold of a chat. Returns False if there is none."""
        ...

    async def holds(self, org_no: int, phone_no: int) -> list[HoldRow]:
        """Lists the holds of a phone, its chats and its broadcasts."""
        ...

    async def retry_now(self, org_no: int, job_ids: Sequence[JobId], actor: str) -> dict[JobId, str]:
        """Starts waiting retries at once and queues failed jobs again. Returns the refused jobs with their states.

        A refused job in state `queued` waits for something else, such as its turn or a hold.
        """
        ...

    async def retry_failed(self, org_no: int, phone_no: int, since_us: int, actor: str) -> int:
        """Queues the jobs of a phone that failed since then again, in steps, and returns their number."""
        ...

    async def resolve(self, org_no: int, job_id: JobId, how: str, actor: str) -> str | None:
        """Settles an uncertain job as `arrived`, `again` or `give_up`. Returns the state that forbids it, else None."""
        ...

    async def suppress(self, org_no: int, chat_id: str, reason: str, actor: str) -> bool:
        """Adds a chat to the suppression list. Returns False if it is there already."""
        ...

    async def unsuppress(self, org_no: int, chat_id: str, actor: str) -> bool:
        """Removes a chat from the suppression list. Returns False if it is not there."""
        ...

    async def suppressions(self, org_no: int, *, after: str = "", limit: int = 1000) -> list[Suppressed]:
        """Lists suppressed chats by chat_id, from the one behind `after` on."""
        ...

    async def audit_log(self, org_no: int, *, limit: int = 100) -> list[AuditEntry]:
        """Lists the last actions, newest first."""
        ...
