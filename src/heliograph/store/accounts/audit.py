"""The audit log of operator actions. Promise: an entry is written in the transaction of its action."""

from heliograph.domain.jobs.ids import JobId
from heliograph.store.database import named
from heliograph.store.database.unit import Unit, query


def record_audit(
    org_no: int, phone_no: int | None, act: str, target: str, detail: str, actor: str, act_no: JobId, now_us: int
) -> Unit[None]:
    yield from query(
        named.audit_log_insert(
            org_no=org_no,
            act_no=act_no,
            phone_no=phone_no,
            act=act,
            target=target,
            detail=detail,
            actor=actor,
            now=now_us,
        )
    )
