"""Looking at a phone without sending anything: what its session is now, and what a person should put right."""

from dataclasses import dataclass

from heliograph.domain.errors import Invalid
from heliograph.domain.jobs.outcome import SessionDown
from heliograph.ports.provider import Phone, PhoneCheck, SessionState
from heliograph.providers.cloud.account import Account, parse_account
from heliograph.providers.cloud.error_codes import ERROR_RULES, ErrorAction
from heliograph.providers.cloud.graph_client import Graph, Lost
from heliograph.providers.cloud.responses import GraphAnswer, outcome_of, read_json

_DENIED = frozenset(row.code for row in ERROR_RULES.values() if row.means is ErrorAction.UNAUTHORIZED)


@dataclass(frozen=True, slots=True)
class Found:
    state: SessionState
    detail: str = ""
    code: str = ""
    number: str = ""
    quality: str = ""


async def read_phone(graph: Graph, account: Account) -> Found:
    """One GET. A busy or failing server is OFFLINE; only a clear refusal is UNAUTHORIZED."""
    answer = await graph.phone(account)
    if isinstance(answer, Lost):
        return Found(SessionState.OFFLINE, f"WhatsApp's servers cannot be reached: {answer.detail}.", "offline")
    value = read_json(answer.body) if answer.status == 200 else None
    if value is not None and str(value.get("id")) == account.phone_number_id:
        digits = "".join(c for c in str(value.get("display_phone_number", "")) if c.isdigit() and c.isascii())
        return Found(SessionState.CONNECTED, number=digits, quality=str(value.get("quality_rating", "")))
    return _refused(answer)


def _refused(answer: GraphAnswer) -> Found:
    if answer.status == 200:
        text = "The answer is not one of WhatsApp's: check base_url, and any proxy on the way."
        return Found(SessionState.OFFLINE, text, "bad_answer")
    outcome = outcome_of(answer)
    detail = getattr(outcome, "detail", "")
    if isinstance(outcome, SessionDown) and outcome.code in _DENIED:
        return Found(SessionState.UNAUTHORIZED, detail, outcome.code)
    return Found(SessionState.OFFLINE, detail, getattr(outcome, "code", "offline"))


async def check_phone(graph: Graph, phone: Phone) -> list[PhoneCheck]:
    """In the order a person would put things right."""
    try:
        account = parse_account(phone.config)
    except Invalid as error:
        advice = "Give the phone's settings again with `heliograph phones credentials`."
        return [PhoneCheck("settings", False, error.message, advice)]
    checks = [PhoneCheck("settings", True, f"phone_number_id {account.phone_number_id} at {account.root}")]
    found = await read_phone(graph, account)
    if found.state is not SessionState.CONNECTED:
        return [*checks, PhoneCheck("access", False, found.detail, found.detail)]
    checks.append(PhoneCheck("access", True, "The token may use this phone."))
    same = not found.number or found.number == phone.number
    advice = "" if same else "Make the phone again with the number that Meta shows, or use the other phone_number_id."
    checks.append(
        PhoneCheck("number", same, f"Meta shows +{found.number or phone.number}; here it is +{phone.number}.", advice)
    )
    poor = found.quality.upper() in ("RED", "LOW")
    advice = "Send less, and only to people who expect it, until the rating rises." if poor else ""
    checks.append(PhoneCheck("quality", not poor, f"Quality rating: {found.quality or 'not given'}.", advice))
    return [*checks, await _check_webhooks(graph, account)]


async def _check_webhooks(graph: Graph, account: Account) -> PhoneCheck:
    advice = "Subscribe the app to the account's webhooks (field `messages`); without them no message gets beyond sent."
    if not account.waba_id:
        return PhoneCheck("webhooks", False, "waba_id is not set, so the subscription cannot be looked up.", advice)
    answer = await graph.subscriptions(account)
    if isinstance(answer, Lost) or answer.status != 200:
        return PhoneCheck(
            "webhooks", False, "The subscription could not be looked up with this token and waba_id.", advice
        )
    apps = (read_json(answer.body) or {}).get("data")
    count = len(apps) if isinstance(apps, list) else 0
    return PhoneCheck("webhooks", count > 0, f"{count} app(s) get this account's webhooks.", "" if count else advice)
