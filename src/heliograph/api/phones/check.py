"""GET /v1/phones/{phone}/check: the provider's checks of a phone, without sending anything."""

import msgspec

from heliograph.api.http.request import ApiRequest
from heliograph.api.http.route import route
from heliograph.api.phones.credentials import to_check
from heliograph.domain.errors import NotFound
from heliograph.ports.provider import SessionState


class CheckObject(msgspec.Struct, frozen=True):
    """One check. `advice`: the remedy if it is not ok."""

    name: str
    ok: bool
    detail: str
    advice: str


class CheckAnswer(msgspec.Struct, frozen=True):
    """All checks of a phone. `ok`: all of them passed."""

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
    row = await deps.phones.phone(call.org_no, call.path["phone"][:300].replace("\0", ""))
    if row is None:
        raise NotFound("There is no such phone in this organisation: give its number or phone_id")
    setup = deps.setup(row.provider)
    if setup is None:
        up = row.state == SessionState.CONNECTED.value
        checks = [CheckObject("session", up, row.state_detail or row.state, "" if up else "Restart the phone.")]
    else:
        results = await setup.check(to_check(deps, row))
        checks = [CheckObject(result.name, result.ok, result.detail, result.advice) for result in results]
    return CheckAnswer(row.phone_id, row.provider, all(check.ok for check in checks), checks)
