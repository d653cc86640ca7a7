"""Every error code of the Cloud API that is known, and what it means for the message: read by `code` alone.

Meta asks clients not to act on titles or subcodes; the one exception is code 100 with subcode 33, which says that the
phone number id itself is not there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class ErrorAction(StrEnum):
    RETRY = "retry"  # surely not sent, try again
    RETRY_MEDIA = "retry_media"  # try again once with a fresh upload, if an old one was used
    REJECT = "reject"
    WAIT_CHAT = "wait_chat"
    WAIT_PHONE = "wait_phone"
    WAIT_APP = "wait_app"
    RESTRICTED = "restricted"  # the phone waits; a person should look
    UNAUTHORIZED = "unauthorized"  # the phone waits until a person acts


@dataclass(frozen=True, slots=True)
class ErrorRule:
    """`wait_s` is used where the answer itself names no wait; it grows with each refusal in a row if `grows`."""

    means: ErrorAction
    code: str
    text: str
    wait_s: float = 0.0
    grows: float = 1.0
    wait_max_s: float = 3600.0


_HOUR = 3600.0


def _rows() -> dict[int, ErrorRule]:
    rows: dict[int, ErrorRule] = {}

    def put(row: ErrorRule, *codes: int) -> None:
        rows.update(dict.fromkeys(codes, row))

    put(
        ErrorRule(ErrorAction.WAIT_PHONE, "throughput", "WhatsApp asks this phone to send more slowly.", 1, 2, 60),
        130429,
    )
    put(
        ErrorRule(
            ErrorAction.WAIT_APP, "app_limit", "The Meta app has used up its calls for now; all its phones wait.", 60, 2
        ),
        4,
    )
    put(
        ErrorRule(
            ErrorAction.WAIT_PHONE,
            "account_limit",
            "The WhatsApp Business account has used up its calls for now.",
            60,
            2,
        ),
        80007,
    )
    put(
        ErrorRule(ErrorAction.WAIT_CHAT, "pair_limit", "Too many messages to this person in a short time.", 1, 4),
        131056,
    )
    put(
        ErrorRule(
            ErrorAction.WAIT_PHONE, "maintenance", "WhatsApp is upgrading this number; it takes about a minute.", 60
        ),
        131057,
    )
    put(ErrorRule(ErrorAction.WAIT_CHAT, "flow_throttled", "This flow was used up for the hour.", _HOUR), 132069)

    put(
        ErrorRule(ErrorAction.RETRY, "service_unavailable", "WhatsApp was not available for a moment."),
        2,
        131016,
        133004,
    )
    put(
        ErrorRule(ErrorAction.RETRY, "network_error", "WhatsApp reported an error without saying why."),
        1,
        131000,
        135000,
    )

    limited = (
        "WhatsApp limits this number because people blocked or reported its messages: pause campaigns and look at "
    )
    put(ErrorRule(ErrorAction.RESTRICTED, "spam_limit", limited + "its quality in WhatsApp Manager.", _HOUR), 131048)
    reached = "This account has reached its messaging limit for now: see WhatsApp Manager, Messaging limits."
    put(ErrorRule(ErrorAction.RESTRICTED, "messaging_limit", reached, _HOUR), 131064)
    blocked = (
        "Meta has restricted or disabled this WhatsApp Business account: see Business Support Home for what to do."
    )
    put(ErrorRule(ErrorAction.RESTRICTED, "account_blocked", blocked, _HOUR), 368, 131031)
    name = "The display name of this number is not approved yet: have it approved in WhatsApp Manager."
    put(ErrorRule(ErrorAction.RESTRICTED, "display_name", name, _HOUR), 131037)
    payment = (
        "There is a problem with the payment method of the WhatsApp Business account: mend it in Billing settings."
    )
    put(ErrorRule(ErrorAction.RESTRICTED, "payment", payment, _HOUR), 131042, 131044)
    register = "This number is not registered for the Cloud API: register it with its PIN, then restart the phone."
    put(ErrorRule(ErrorAction.RESTRICTED, "not_registered", register, _HOUR), 131045, 133010)

    token = "Meta refused the access token: make a new one and give it with `heliograph phones credentials`."
    put(ErrorRule(ErrorAction.UNAUTHORIZED, "unauthorized", token), 0, 190)
    rights = (
        "The app may not send for this number: give the token whatsapp_business_messaging on this account, "
        "and check that the app is active."
    )
    put(ErrorRule(ErrorAction.UNAUTHORIZED, "no_permission", rights), 3, 10, 131005, *range(200, 300))
    gone = "The phone number id is not known to Meta, or the token may not see it: check phone_number_id."
    put(ErrorRule(ErrorAction.UNAUTHORIZED, "wrong_phone_number_id", gone), 33)

    window = (
        "The person has not written in the last 24 hours, so WhatsApp takes only a template: send a template message, "
        "or wait until the person writes."
    )
    put(ErrorRule(ErrorAction.REJECT, "window_closed", window), 131047)
    nowhere = "WhatsApp could not deliver it: the number is not on WhatsApp, or cannot receive this message."
    put(ErrorRule(ErrorAction.REJECT, "undeliverable", nowhere), 131026)
    put(ErrorRule(ErrorAction.REJECT, "same_number", "Sender and recipient are the same number."), 131021)
    allow = "The recipient is not on the list of test recipients of this Meta test number: add it under API setup."
    put(ErrorRule(ErrorAction.REJECT, "not_allowed_recipient", allow), 131030)
    put(
        ErrorRule(
            ErrorAction.REJECT, "identity_changed", "The recipient's identity key is not the one that was given."
        ),
        137000,
    )
    put(
        ErrorRule(ErrorAction.REJECT, "recipient_form", "This form of recipient is not supported for this message."),
        131062,
    )
    put(
        ErrorRule(ErrorAction.REJECT, "country", "This account may not write to people in the recipient's country."),
        130497,
    )
    engagement = (
        "WhatsApp held it back because this person gets many marketing messages: try again after a day at least."
    )
    put(ErrorRule(ErrorAction.REJECT, "engagement", engagement), 131049)
    put(
        ErrorRule(
            ErrorAction.REJECT,
            "experiment",
            "WhatsApp does not send marketing to this person (an experiment of theirs).",
        ),
        130472,
    )
    put(
        ErrorRule(ErrorAction.REJECT, "opted_out", "The person has stopped marketing messages from this business."),
        131050,
    )

    put(ErrorRule(ErrorAction.REJECT, "unsupported", "WhatsApp does not know this type of message."), 131051)
    put(ErrorRule(ErrorAction.REJECT, "bad_request", "WhatsApp refused the message as not well formed."), 131008)
    # these two also say that an uploaded file is no longer there
    put(ErrorRule(ErrorAction.RETRY_MEDIA, "bad_request", "WhatsApp refused a value in the message."), 100, 131009)
    media = "WhatsApp could not use the file: check that its type is what it says, and its size."
    put(ErrorRule(ErrorAction.RETRY_MEDIA, "media_refused", media), 131052, 131053)

    put(
        ErrorRule(ErrorAction.REJECT, "template_parameters", "The number of variables does not fit the template."),
        132000,
    )
    put(
        ErrorRule(
            ErrorAction.REJECT, "template_unknown", "There is no approved template of this name in this language."
        ),
        132001,
    )
    put(
        ErrorRule(ErrorAction.REJECT, "template_too_long", "The template's text is too long with these values."), 132005
    )
    put(ErrorRule(ErrorAction.REJECT, "template_policy", "The template breaks a policy of WhatsApp."), 132007)
    put(
        ErrorRule(ErrorAction.REJECT, "template_values", "A value does not fit its place in the template."),
        132008,
        132012,
    )
    put(
        ErrorRule(ErrorAction.REJECT, "template_paused", "The template is paused because of low quality: use another."),
        132015,
    )
    put(ErrorRule(ErrorAction.REJECT, "template_disabled", "The template is disabled for good: use another."), 132016)
    put(ErrorRule(ErrorAction.REJECT, "flow_blocked", "The flow is blocked."), 132068)
    marketing = "Marketing templates are switched off for the Cloud API on this account."
    put(ErrorRule(ErrorAction.REJECT, "marketing_disabled", marketing), 131063)
    put(
        ErrorRule(ErrorAction.REJECT, "group", "The group does not take this message."),
        131020,
        131041,
        *range(131200, 131300),
    )
    return rows


ERROR_RULES: Mapping[int, ErrorRule] = MappingProxyType(_rows())
UNKNOWN_4XX = ErrorRule(ErrorAction.REJECT, "refused", "WhatsApp refused the message.")
UNKNOWN_5XX = ErrorRule(ErrorAction.RETRY, "network_error", "WhatsApp reported an error without saying why.")
