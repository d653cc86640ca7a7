"""GET /v1/phones/{phone}/check: what the provider says of a phone, without sending anything."""

import msgspec
from litestar.handlers import HTTPRouteHandler

from heliograph.api.http.request import ApiRequest
from heliograph.api.http.route import route
from heliograph.api.phones.credentials import to_check
from heliograph.domain.errors import NotFound
from heliograph.ports.provider import SessionState


class CheckObject(msgspec.Struct, frozen=True):
    """`advice`: what to do if it is not ok."""

    name: str
    ok: bool
    detail: str
    advice: str


class CheckAnswer(msgspec.Struct, frozen=True):
    """`ok`: all of them are."""

    phone_id: str
    provider: str
    ok: bool
    checks: list[CheckObject]


@route(
    "GET", "/phones/{phone:str}/check",
    summary="Look at a phone without sending", tag="Phones", answer=CheckAnswer, errors=(404, 409),
    description="`phone` is its number or phone_id. For the Cloud API: token, phone number id, quality, webhooks.",
)  # fmt: skip
async def check(call: ApiRequest) -> CheckAnswer:
    deps = call.deps
    row = await deps.accounts.phone(call.org_no, call.path["phone"][:300].replace("\0", ""))
    if row is None:
        raise NotFound("There is no such phone in this organisation: give its number or phone_id")
    setup = deps.setup(row.provider)
    if setup is None:
        up = row.state == SessionState.CONNECTED.value
        found = [CheckObject("session", up, row.state_detail or row.state, "" if up else "Restart the phone.")]
    else:
        checks = await setup.check(to_check(deps, row))
        found = [CheckObject(one.name, one.ok, one.detail, one.advice) for one in checks]
    return CheckAnswer(row.phone_id, row.provider, all(one.ok for one in found), found)


def routes() -> list[HTTPRouteHandler]:
    return [check]
