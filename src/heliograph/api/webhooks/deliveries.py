"""Deliveries of a webhook, replays of one or many of them, and a test delivery."""

from datetime import UTC, datetime

import msgspec

from heliograph.api.http.request import ApiRequest
from heliograph.api.http.route import QueryParameter, route
from heliograph.api.webhooks.manage import TAG, require_webhook, webhooks_of
from heliograph.domain.errors import Conflict, NotFound, invalid
from heliograph.domain.timestamps import iso, iso_or_none
from heliograph.domain.webhooks.webhook import Delivery, parse_delivery_id

MAX_LISTED = 1000
STATES = ("pending", "delivered", "dead", "cancelled")


class DeliveryObject(msgspec.Struct):
    """`state`: pending (waiting or in flight), delivered, dead (given up), cancelled. `outcome`: the last one."""

    id: str
    webhook_id: str
    event: str
    state: str
    outcome: str | None
    attempts: int
    sequence: int
    created_at: str
    next_try_at: str | None
    finished_at: str | None


class AttemptObject(msgspec.Struct):
    """One attempt. `status` 0: there was no answer. `answer`: its first 64 kB."""

    attempt: int
    at: str
    took_ms: int
    outcome: str
    status: int
    detail: str
    answer: str


class DeliveryDetails(DeliveryObject):
    """`body`: the text as it was sent, kept only for deliveries whose first attempt failed."""

    body: str | None
    tries: list[AttemptObject]


class ReplayBody(msgspec.Struct):
    """`failed_since`: all that were given up since then. `from` and `to`: all of that span."""

    failed_since: str | None = None
    from_: str | None = msgspec.field(default=None, name="from")
    to: str | None = None


class Replayed(msgspec.Struct):
    replayed: int


_HOOK = "/webhooks/{id:str}"
_DELIVERY = _HOOK + "/deliveries/{delivery_id:str}"


@route("GET", _HOOK + "/deliveries", summary="Its deliveries, newest first", tag=TAG, answer=list[DeliveryObject],
       errors=(404,), query=(
    QueryParameter("state", "pending, delivered, dead or cancelled"), QueryParameter("before",
    "Only those before this delivery's id"),
    QueryParameter("limit", "At most so many (100)", "integer", 1, MAX_LISTED),
))  # fmt: skip
async def deliveries(call: ApiRequest) -> list[DeliveryObject]:
    state = call.text("state")
    if state is not None and state not in STATES:
        raise invalid("state", f"state must be one of: {', '.join(STATES)}", state)
    limit = call.number("limit", int)
    limit = 100 if limit is None else limit
    if not 1 <= limit <= MAX_LISTED:
        raise invalid("limit", f"limit must be 1 to {MAX_LISTED}", limit if abs(limit) < 2**53 else None)
    hook = await require_webhook(call)
    below = None
    if (before := call.text("before")) is not None:
        below = parse_delivery_id(before, hook.org_id)
        if below is None:
            raise invalid("before", "before must be the id of a delivery", before)
    rows = await webhooks_of(call).store.deliveries(hook, state=state, below=below, limit=limit)
    return [_delivery_object(row) for row in rows]


@route("GET", _DELIVERY, summary="A delivery with its tries", tag=TAG, answer=DeliveryDetails, errors=(404,))
async def delivery(call: ApiRequest) -> DeliveryDetails:
    no = await _delivery_no(call)
    found = await webhooks_of(call).store.delivery(call.org_no, no)
    if found is None or found[0].hook_id != call.path["id"]:
        raise _not_found()
    row, body, attempts = found
    tries = [
        AttemptObject(a.attempt, iso(a.at_us), a.took_ms, a.outcome, a.status, a.detail, a.answer) for a in attempts
    ]
    return DeliveryDetails(**msgspec.structs.asdict(_delivery_object(row)), body=body, tries=tries)


@route("POST", _DELIVERY + "/replay", summary="Deliver one again", tag=TAG, answer=Replayed, errors=(404, 409),
       description="At once, with its own id and bytes.")  # fmt: skip
async def replay_one(call: ApiRequest) -> Replayed:
    no = await _delivery_no(call)
    found = await webhooks_of(call).store.delivery(call.org_no, no)
    if found is None or found[0].hook_id != call.path["id"]:
        raise _not_found()
    if not await webhooks_of(call).store.replay(call.org_no, no):
        raise Conflict(
            "This delivery is on its way, or will be as soon as those before it are", extra={"state": "pending"}
        )
    webhooks_of(call).wake()
    return Replayed(1)


@route(
    "POST", _HOOK + "/deliveries/replay",
    summary="Deliver many again", tag=TAG, body=ReplayBody, answer=Replayed, errors=(404,),
    description="All that were given up since a time (failed_since), or everything of a span (from, to).",
    example={"failed_since": "2026-04-01T00:00:00Z"},
)  # fmt: skip
async def replay_many(call: ApiRequest) -> Replayed:
    body = call.decoded(ReplayBody)
    if (body.failed_since is None) == (body.from_ is None):
        raise invalid("failed_since", "Give either failed_since, or from and to")
    since_us = _time(body.failed_since or body.from_ or "", "failed_since" if body.failed_since else "from")
    until_us = call.deps.clock.now_us() + 1 if body.to is None else _time(body.to, "to")
    hook = await require_webhook(call)
    count = await webhooks_of(call).store.replay_many(
        hook, dead_only=body.failed_since is not None, since_us=since_us, until_us=until_us
    )
    webhooks_of(call).wake()
    return Replayed(count)


@route("POST", _HOOK + "/test", summary="Send a test", tag=TAG, answer=DeliveryObject, status=202, errors=(404,),
       description="A sample of the hook's event, signed as every delivery is.")  # fmt: skip
async def test(call: ApiRequest) -> DeliveryObject:
    hook = await require_webhook(call)
    delivery = await webhooks_of(call).store.add_test(
        hook, webhooks_of(call).sample_body(hook, call.deps.clock.now_us())
    )
    webhooks_of(call).wake()
    return _delivery_object(delivery)


async def _delivery_no(call: ApiRequest) -> int:
    hook = await require_webhook(call)
    no = parse_delivery_id(call.path["delivery_id"], hook.org_id)
    if no is None:
        raise _not_found()
    return no


def _not_found() -> NotFound:
    return NotFound("There is no such delivery of this webhook; they are kept for the retention time")


def _time(text: str, field: str) -> int:
    try:
        at = datetime.fromisoformat(text)
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        return round(at.timestamp() * 1_000_000)
    except (ValueError, OverflowError):
        raise invalid(field, f"{field} must be a time such as 2026-04-01T14:23:21Z", text) from None


def _delivery_object(row: Delivery) -> DeliveryObject:
    return DeliveryObject(
        id=row.delivery_id,
        webhook_id=row.hook_id,
        event=row.event,
        state=row.state,
        outcome=row.outcome,
        attempts=row.attempts,
        sequence=row.sequence,
        created_at=iso(row.created_at_us),
        next_try_at=iso_or_none(row.not_before_us) if row.state == "pending" else None,
        finished_at=iso_or_none(row.finished_at_us),
    )
