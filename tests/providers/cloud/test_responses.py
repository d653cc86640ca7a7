"""Tests of Graph API responses as outcomes, without a network: every error code, malformed bodies, and waits."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.domain.jobs.outcome import (
    Accepted,
    NotSent,
    Outcome,
    Rejected,
    Scope,
    SessionDown,
    Throttled,
    Unknown,
)
from heliograph.providers.cloud.error_codes import ERROR_RULES, ErrorAction
from heliograph.providers.cloud.responses import GraphAnswer, named_wait_s, outcome_of

_CLASS = {
    ErrorAction.RETRY: NotSent,
    ErrorAction.RETRY_MEDIA: Rejected,
    ErrorAction.REJECT: Rejected,
    ErrorAction.WAIT_CHAT: Throttled,
    ErrorAction.WAIT_PHONE: Throttled,
    ErrorAction.WAIT_APP: Throttled,
    ErrorAction.RESTRICTED: SessionDown,
    ErrorAction.UNAUTHORIZED: SessionDown,
}


def refusal(code: int, *, status: int = 400, subcode: int | None = None, **headers: str) -> GraphAnswer:
    error = {"message": "said", "type": "OAuthException", "code": code, "error_data": {"details": "why"}}
    if subcode is not None:
        error["error_subcode"] = subcode
    return GraphAnswer(
        status, {k.replace("_", "-"): v for k, v in headers.items()}, json.dumps({"error": error}).encode()
    )


@pytest.mark.parametrize("code", sorted(ERROR_RULES))
def test_every_known_code_becomes_the_outcome_of_its_row_with_its_text_and_code(code: int) -> None:
    found = outcome_of(refusal(code))
    assert isinstance(found, _CLASS[ERROR_RULES[code].means])
    assert not isinstance(found, Accepted)
    assert found.code == ERROR_RULES[code].code
    assert str(code) in found.detail and "why" in found.detail and ERROR_RULES[code].text in found.detail


@pytest.mark.parametrize(
    "codes",
    [
        {
            ErrorAction.WAIT_PHONE: {130429, 80007, 131057},
            ErrorAction.WAIT_APP: {4},
            ErrorAction.WAIT_CHAT: {131056, 132069},
        },
        {ErrorAction.RETRY: {1, 2, 131000, 131016, 133004, 135000}},
        {ErrorAction.UNAUTHORIZED: {0, 3, 10, 33, 190, 131005, *range(200, 300)}},
        {ErrorAction.RESTRICTED: {368, 131031, 131037, 131042, 131044, 131045, 131048, 131064, 133010}},
        {ErrorAction.RETRY_MEDIA: {100, 131009, 131052, 131053}},
    ],
)
def test_the_table_classifies_as_meta_documents(codes: dict[ErrorAction, set[int]]) -> None:
    for means, expected in codes.items():
        assert {code for code, row in ERROR_RULES.items() if row.means is means} == expected


def test_code_100_speaks_of_the_message_but_with_subcode_33_of_the_phone() -> None:
    assert isinstance(outcome_of(refusal(100)), Rejected)
    wrong = outcome_of(refusal(100, subcode=33))
    assert isinstance(wrong, SessionDown) and wrong.code == "wrong_phone_number_id"


def test_an_unknown_code_is_final_with_4xx_and_tried_again_with_5xx() -> None:
    assert isinstance(outcome_of(refusal(999_999)), Rejected)
    assert isinstance(outcome_of(refusal(999_999, status=500)), NotSent)


@pytest.mark.parametrize("status", [502, 504])
def test_a_gateway_between_never_proves_that_nothing_was_sent(status: int) -> None:
    assert isinstance(outcome_of(refusal(131016, status=status)), Unknown)


@pytest.mark.parametrize("status", [500, 502, 503, 504, 599, 408])
def test_a_failure_that_is_not_in_json_may_have_been_sent(status: int) -> None:
    assert isinstance(outcome_of(GraphAnswer(status, {}, b"<html>oops</html>")), Unknown)


@pytest.mark.parametrize("status", [301, 302, 400, 401, 403, 404, 407])
def test_an_answer_of_another_host_stops_the_phone_and_loses_nothing(status: int) -> None:
    found = outcome_of(GraphAnswer(status, {}, b"<html>login here</html>"))
    assert isinstance(found, SessionDown) and found.code == "bad_answer" and "base_url" in found.detail


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b"{}", b'{"messages":[]}', b'{"messages":[{}]}', b'{"messages":[{"id":7}]}', b"\xff", b"{"],
)
def test_a_success_that_cannot_be_read_may_have_been_sent(body: bytes) -> None:
    assert isinstance(outcome_of(GraphAnswer(200, {}, body)), Unknown)


def test_a_success_gives_the_id_of_whatsapp() -> None:
    body = (
        b'{"messaging_product":"whatsapp","messages":[{"id":"wamid.x","message_status":"held_for_quality_assessment"}]}'
    )
    assert outcome_of(GraphAnswer(200, {}, body)) == Accepted("wamid.x")


def test_retry_after_and_the_usage_header_name_the_wait() -> None:
    usage = json.dumps({"1": [{"type": "messages", "estimated_time_to_regain_access": 7}, {"type": "x"}], "2": "odd"})
    assert named_wait_s({"retry-after": "12"}) == 12
    assert named_wait_s({"retry-after": "99999999"}) == 24 * 3600
    assert named_wait_s({"x-business-use-case-usage": usage}) == 420
    assert named_wait_s({"retry-after": "-1"}) is None
    assert named_wait_s({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT", "x-business-use-case-usage": "{"}) is None
    waited = outcome_of(refusal(130429, retry_after="9"))
    assert isinstance(waited, Throttled) and waited.retry_after_s == 9 and waited.scope is Scope.PHONE
    busy = outcome_of(refusal(2, status=503, retry_after="3"))
    assert isinstance(busy, NotSent) and busy.retry_after_s == 3


def test_the_pair_limit_waits_four_to_the_power_of_the_refusals_before() -> None:
    waits = [outcome_of(refusal(131056), refusals=n) for n in range(8)]
    assert [w.retry_after_s for w in waits if isinstance(w, Throttled)] == [1, 4, 16, 64, 256, 1024, 3600, 3600]


@given(st.integers(100, 599), st.binary(max_size=200), st.dictionaries(st.just("retry-after"), st.text(max_size=9)))
def test_no_response_raises_an_error(status: int, body: bytes, headers: dict[str, str]) -> None:
    assert isinstance(outcome_of(GraphAnswer(status, headers, body)), Outcome)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.integers(200, 599), st.dictionaries(st.sampled_from(["error", "messages", "x"]), _JSON), _JSON)
def test_no_json_raises_an_error_and_only_an_id_is_a_success(
    status: int, body: dict[str, object], code: object
) -> None:
    if isinstance(body.get("error"), dict):
        body["error"] = {"code": code, "error_data": code, "message": code}
    found = outcome_of(GraphAnswer(status, {}, json.dumps(body).encode()))
    if isinstance(found, Accepted):
        assert 200 <= status < 300 and found.provider_message_id
