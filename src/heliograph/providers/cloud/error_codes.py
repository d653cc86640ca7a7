"""Every error code of the Cloud API that is known, and what it means for the message: read by `code` alone.

Meta asks clients not to act on titles or subcodes; the one exception is code 100 with subcode 33, which says that the
phone number id itself is not there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class Means(StrEnum):
    RETRY = "retry"  # surely not sent, try again
    RETRY_MEDIA = "retry_media"  # try again once with a fresh upload, if an old one was used
    REJECT = "reject"
    WAIT_CHAT = "wait_chat"
    WAIT_PHONE = "wait_phone"
    WAIT_APP = "wait_app"
    RESTRICTED = "restricted"  # the phone waits; a person should look
    UNAUTHORIZED = "unauthorized"  # the phone waits until a person acts


@dataclass(frozen=True, slots=True)
class Row:
    """`wait_s` is used where the answer itself names no wait; it grows with each refusal in a row if `grows`."""

    means: Means
    code: str
    text: str
    wait_s: float = 0.0
    grows: float = 1.0
    wait_max_s: float = 3600.0


_HOUR = 3600.0


def _rows() -> dict[int, Row]:
    rows: dict[int, Row] = {}

    def put(row: Row, *codes: int) -> None:
        rows.update(dict.fromkeys(codes, row))

    put(Row(Means.WAIT_PHONE, "throughput", "WhatsApp asks this phone to send more slowly.", 1, 2, 60), 130429)
    put(Row(Means.WAIT_APP, "app_limit", "The Meta app has used up its calls for now; all its phones wait.", 60, 2), 4)
    put(
        Row(Means.WAIT_PHONE, "account_limit", "The WhatsApp Business account has used up its calls for now.", 60, 2),
        80007,
    )
    put(Row(Means.WAIT_CHAT, "pair_limit", "Too many messages to this person in a short time.", 1, 4), 131056)
    put(Row(Means.WAIT_PHONE, "maintenance", "WhatsApp is upgrading this number; it takes about a minute.", 60), 131057)
    put(Row(Means.WAIT_CHAT, "flow_throttled", "This flow was used up for the hour.", _HOUR), 132069)

    put(Row(Means.RETRY, "service_unavailable", "WhatsApp was not available for a moment."), 2, 131016, 133004)
    put(Row(Means.RETRY, "network_error", "WhatsApp reported an error without saying why."), 1, 131000, 135000)

    limited = (
        "WhatsApp limits this number because people blocked or reported its messages: pause campaigns and look at "
    )
    put(Row(Means.RESTRICTED, "spam_limit", limited + "its quality in WhatsApp Manager.", _HOUR), 131048)
    reached = "This account has reached its messaging limit for now: see WhatsApp Manager, Messaging limits."
    put(Row(Means.RESTRICTED, "messaging_limit", reached, _HOUR), 131064)
    blocked = (
        "Meta has restricted or disabled this WhatsApp Business account: see Business Support Home for what to do."
    )
    put(Row(Means.RESTRICTED, "account_blocked", blocked, _HOUR), 368, 131031)
    name = "The display name of this number is not approved yet: have it approved in WhatsApp Manager."
    put(Row(Means.RESTRICTED, "display_name", name, _HOUR), 131037)
    payment = (
        "There is a problem with the payment method of the WhatsApp Business account: mend it in Billing settings."
    )
    put(Row(Means.RESTRICTED, "payment", payment, _HOUR), 131042, 131044)
    register = "This number is not registered for the Cloud API: register it with its PIN, then restart the phone."
    put(Row(Means.RESTRICTED, "not_registered", register, _HOUR), 131045, 133010)

    token = "Meta refused the access token: make a new one and give it with `heliograph phones credentials`."
    put(Row(Means.UNAUTHORIZED, "unauthorized", token), 0, 190)
    rights = (
        "The app may not send for this number: give the token whatsapp_business_messaging on this account, "
        "and check that the app is active."
    )
    put(Row(Means.UNAUTHORIZED, "no_permission", rights), 3, 10, 131005, *range(200, 300))
    gone = "The phone number id is not known to Meta, or the token may not see it: check phone_number_id."
    put(Row(Means.UNAUTHORIZED, "wrong_phone_number_id", gone), 33)

    window = (
        "The person has not written in the last 24 hours, so WhatsApp takes only a template: send a template message, "
        "or wait until the person writes."
    )
    put(Row(Means.REJECT, "window_closed", window), 131047)
    nowhere = "WhatsApp could not deliver it: the number is not on WhatsApp, or cannot receive this message."
    put(Row(Means.REJECT, "undeliverable", nowhere), 131026)
    put(Row(Means.REJECT, "same_number", "Sender and recipient are the same number."), 131021)
    allow = "The recipient is not on the list of test recipients of this Meta test number: add it under API setup."
    put(Row(Means.REJECT, "not_allowed_recipient", allow), 131030)
    put(Row(Means.REJECT, "identity_changed", "The recipient's identity key is not the one that was given."), 137000)
    put(Row(Means.REJECT, "recipient_form", "This form of recipient is not supported for this message."), 131062)
    put(Row(Means.REJECT, "country", "This account may not write to people in the recipient's country."), 130497)
    engagement = (
        "WhatsApp held it back because this person gets many marketing messages: try again after a day at least."
    )
    put(Row(Means.REJECT, "engagement", engagement), 131049)
    put(
        Row(Means.REJECT, "experiment", "WhatsApp does not send marketing to this person (an experiment of theirs)."),
        130472,
    )
    put(Row(Means.REJECT, "opted_out", "The person has stopped marketing messages from this business."), 131050)

    put(Row(Means.REJECT, "unsupported", "WhatsApp does not know this type of message."), 131051)
    put(Row(Means.REJECT, "bad_request", "WhatsApp refused the message as not well formed."), 131008)
    # these two also say that an uploaded file is no longer there
    put(Row(Means.RETRY_MEDIA, "bad_request", "WhatsApp refused a value in the message."), 100, 131009)
    media = "WhatsApp could not use the file: check that its type is what it says, and its size."
    put(Row(Means.RETRY_MEDIA, "media_refused", media), 131052, 131053)

    put(Row(Means.REJECT, "template_parameters", "The number of variables does not fit the template."), 132000)
    put(Row(Means.REJECT, "template_unknown", "There is no approved template of this name in this language."), 132001)
    put(Row(Means.REJECT, "template_too_long", "The template's text is too long with these values."), 132005)
    put(Row(Means.REJECT, "template_policy", "The template breaks a policy of WhatsApp."), 132007)
    put(Row(Means.REJECT, "template_values", "A value does not fit its place in the template."), 132008, 132012)
    put(Row(Means.REJECT, "template_paused", "The template is paused because of low quality: use another."), 132015)
    put(Row(Means.REJECT, "template_disabled", "The template is disabled for good: use another."), 132016)
    put(Row(Means.REJECT, "flow_blocked", "The flow is blocked."), 132068)
    marketing = "Marketing templates are switched off for the Cloud API on this account."
    put(Row(Means.REJECT, "marketing_disabled", marketing), 131063)
    put(Row(Means.REJECT, "group", "The group does not take this message."), 131020, 131041, *range(131200, 131300))
    return rows


TABLE: Mapping[int, Row] = MappingProxyType(_rows())
UNKNOWN_4XX = Row(Means.REJECT, "refused", "WhatsApp refused the message.")
UNKNOWN_5XX = Row(Means.RETRY, "network_error", "WhatsApp reported an error without saying why.")
