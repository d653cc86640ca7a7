"""The signing key of an organisation's deliveries: shown, and rotated with an overlap."""

import msgspec

from heliograph.api.http.request import ApiRequest
from heliograph.api.http.route import route
from heliograph.api.webhooks.manage import TAG, opened_key, sealed_new_key, webhooks_of
from heliograph.domain.timestamps import iso
from heliograph.domain.webhooks.webhook import OVERLAP_US, SigningKeyRow


class SigningKey(msgspec.Struct, omit_defaults=True):
    """`previous_signing_key` is valid until `previous_valid_until`, besides the current one."""

    signing_key: str
    previous_signing_key: str | None = None
    previous_valid_until: str | None = None


@route("GET", "/webhooks/signing-key", summary="The key that deliveries are signed with", tag=TAG, answer=SigningKey)
async def signing_key(call: ApiRequest) -> SigningKey:
    return _object(call, await webhooks_of(call).store.signing_keys(call.org_no, sealed_new_key(call)))


@route(
    "POST", "/webhooks/signing-key/rotate",
    summary="A new signing key", tag=TAG, answer=SigningKey,
    description="The old one stays valid for 24 h: the Standard Webhooks header carries both signatures, "
    "x-periskope-signature switches at the end.",
)  # fmt: skip
async def rotate(call: ApiRequest) -> SigningKey:
    new, first = sealed_new_key(call), sealed_new_key(call)
    keys = await webhooks_of(call).store.rotate_key(call.org_no, new, first_key=first, overlap_us=OVERLAP_US)
    return _object(call, keys)


def _object(call: ApiRequest, keys: SigningKeyRow) -> SigningKey:
    current = opened_key(call, keys.current)
    if keys.previous is None or call.deps.clock.now_us() >= keys.switch_at_us:
        return SigningKey(current)
    return SigningKey(current, opened_key(call, keys.previous), iso(keys.switch_at_us))
