"""Hooks and signing keys, as people set them up.

Promise: the hooks of one request are created all or none, and `orgs.hooks` is updated in the same transaction. So no
event is kept without a hook, and no subscribed hook misses one.
"""

from collections.abc import Sequence

import msgspec

from heliograph.domain.jobs.job import Idempotency
from heliograph.domain.webhooks.webhook import HookPatch, NewHook, SigningKeyRow, WebhookRow
from heliograph.store.accounts import idempotency as idempotency_keys
from heliograph.store.database import named
from heliograph.store.database.unit import Unit, query, query_one, query_row


def hook_of(row: "named.HookColumns") -> WebhookRow:
    return WebhookRow(
        hook_no=row["hook_no"],
        org_no=row["org_no"],
        org_id=row["org_id"],
        hook_id=row["hook_id"],
        endpoint_no=row["endpoint_no"],
        url=row["url"],
        event=row["event"],
        integration_type=row["integration_type"],
        integration_id=row["integration_id"],
        metadata=msgspec.json.decode(row["metadata"]),
        type=row["type"],
        name=row["name"],
        is_subscribed=row["is_subscribed"] == 1,
        subscribed_at_us=row["subscribed_at"],
        created_at_us=row["created_at"],
        failures=row["failures"],
        failing_since_us=row["failing_since"],
        disabled_at_us=row["disabled_at"],
        disabled_reason=row["disabled_reason"],
    )


def _endpoint(org_no: int, url: str) -> Unit[int]:
    yield from query(named.endpoint_ensure(org_no=org_no, url=url))
    row = yield from query_row(named.endpoint_by_url(org_no=org_no, url=url))
    return row["endpoint_no"]


def create_hooks(
    org_no: int, hooks: Sequence[NewHook], first_key: str, idempotency: Idempotency | None, now_us: int
) -> Unit[tuple[list[WebhookRow], bool] | None]:
    """None: the idempotency key was used for another request. Its stored answer is the hooks' ids, never a secret."""
    if idempotency is not None:
        earlier = yield from idempotency_keys.claim_key(org_no, idempotency, now_us)
        if earlier is not None:
            if not earlier.same or earlier.response is None:
                return None
            ids = msgspec.json.decode(earlier.response, type=list[str])
            found = {hook.hook_id: hook for hook in (yield from hooks_of(org_no))}
            return [found[each] for each in ids if each in found], True
        yield from idempotency_keys.save_response(
            org_no, idempotency, msgspec.json.encode([hook.hook_id for hook in hooks]).decode()
        )
    yield from query(named.fanout_ensure(org_no=org_no))
    yield from query(named.fanout_lock(org_no=org_no))
    yield from query(named.signing_key_ensure(org_no=org_no, current=first_key, now=now_us))
    rows = []
    for hook in hooks:
        endpoint_no = yield from _endpoint(org_no, hook.url)
        # a person who creates it again wants its deliveries again
        yield from query(named.endpoint_enable(org_no=org_no, endpoint_no=endpoint_no))
        metadata = msgspec.json.encode(hook.metadata).decode()
        rows.append(
            (org_no, hook.hook_id, endpoint_no, hook.event, hook.integration_type, hook.integration_id, metadata,
             hook.type, hook.name)
        )  # fmt: skip
    yield from query(named.hooks_insert(rows, now=now_us))
    yield from query(named.org_count_hooks(org_no=org_no))
    made = {hook.hook_id for hook in hooks}
    return [hook for hook in (yield from hooks_of(org_no)) if hook.hook_id in made], False


def hooks_of(org_no: int) -> Unit[list[WebhookRow]]:
    return [hook_of(row) for row in (yield from query(named.hooks_of(org_no=org_no)))]


def hook_by_id(org_no: int, hook_id: str) -> Unit[WebhookRow | None]:
    row = yield from query_one(named.hook_by_id(org_no=org_no, hook_id=hook_id))
    return None if row is None else hook_of(row)


def update_hook(org_no: int, hook_id: str, patch: HookPatch, now_us: int) -> Unit[WebhookRow | None]:
    yield from query(named.fanout_lock(org_no=org_no))
    hook = yield from hook_by_id(org_no, hook_id)
    if hook is None:
        return None
    endpoint_no = hook.endpoint_no if patch.url is None else (yield from _endpoint(org_no, patch.url))
    subscribed = hook.is_subscribed if patch.is_subscribed is None else patch.is_subscribed
    if subscribed and (patch.is_subscribed or patch.url is not None):
        yield from query(named.endpoint_enable(org_no=org_no, endpoint_no=endpoint_no))
    yield from query(
        named.hook_update(
            org_no=org_no,
            hook_no=hook.hook_no,
            endpoint_no=endpoint_no,
            event=patch.event or hook.event,
            integration_type=patch.integration_type or hook.integration_type,
            metadata=msgspec.json.encode(hook.metadata if patch.metadata is None else patch.metadata).decode(),
            type=patch.type or hook.type,
            name=hook.name if patch.name is None else patch.name,
            is_subscribed=int(subscribed),
            subscribed_at=now_us if subscribed and not hook.is_subscribed else hook.subscribed_at_us,
        )
    )
    yield from query(named.org_count_hooks(org_no=org_no))
    return (yield from hook_by_id(org_no, hook_id))


def delete_hook(org_no: int, hook_id: str, now_us: int) -> Unit[bool]:
    yield from query(named.fanout_lock(org_no=org_no))
    row = yield from query_one(named.hook_delete(org_no=org_no, hook_id=hook_id, now=now_us))
    yield from query(named.org_count_hooks(org_no=org_no))
    return row is not None


def keys_of(row: "named.SigningKeyColumns") -> SigningKeyRow:
    return SigningKeyRow(row["current"], row["previous"], row["switch_at"])


def signing_keys(org_no: int, first_key: str, now_us: int) -> Unit[SigningKeyRow]:
    yield from query(named.signing_key_ensure(org_no=org_no, current=first_key, now=now_us))
    return keys_of((yield from query_row(named.signing_keys_of(org_no=org_no))))


def rotate_key(org_no: int, new_key: str, first_key: str, overlap_us: int, now_us: int) -> Unit[SigningKeyRow]:
    """Rotates the signing key. Within an overlap, the key in force stays the previous one."""
    yield from query(named.signing_key_ensure(org_no=org_no, current=first_key, now=now_us))
    keys = keys_of((yield from query_row(named.signing_keys_lock(org_no=org_no))))
    in_force = keys.previous if keys.previous is not None and now_us < keys.switch_at_us else keys.current
    yield from query(
        named.signing_keys_set(org_no=org_no, current=new_key, previous=in_force, switch_at=now_us + overlap_us)
    )
    return SigningKeyRow(new_key, in_force, now_us + overlap_us)
