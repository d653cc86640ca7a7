"""Tests of large recipient lists: read in slices, they mean the same as when read at once."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.api.broadcasts import recipients
from heliograph.api.http import body
from heliograph.domain.broadcasts.csv_recipients import Recipient
from heliograph.domain.errors import BadRequest, Invalid

# what a cut could be mistaken for, inside of texts
_TRICKY = st.lists(st.sampled_from(['"', ",", "\\", "},{", '","', '", "', "[", "]", "{", "}", " ", "a", "é"])).map(
    "".join
)


def read(steps: Any) -> Any:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def raw(value: Any) -> msgspec.Raw:
    return msgspec.Raw(value if isinstance(value, bytes) else json.dumps(value).encode())


def elements(array: Any, decoder: Any, end: bytes, begin: bytes) -> list[Any]:
    # private: the slices of a list are seen only here; requests show the whole
    return [one for one in recipients._each(raw(array), decoder, end, begin, "field") if one is not None]


@given(texts=st.lists(_TRICKY, max_size=40), size=st.integers(1, 60))
def test_texts_come_out_of_pieces_as_they_went_in(texts: list[str], size: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recipients, "PIECE_BYTES", size)
        assert elements(texts, recipients._chats, b'"', b'"') == texts  # private: as above


@given(texts=st.lists(_TRICKY, max_size=20), size=st.integers(1, 200), indent=st.sampled_from([None, 0, 2]))
def test_objects_come_out_of_pieces_as_they_went_in(texts: list[str], size: int, indent: int | None) -> None:
    given_ones = [{"chat_id": text, "values": {"name": text, text: "x"}} for text in texts]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recipients, "PIECE_BYTES", size)
        # private: as above
        found = elements(
            json.dumps(given_ones, indent=indent).encode(), recipients._variables, b"}", b"{"
        )  # private: as above
    assert [(one.chat_id, one.values) for one in found] == [(one["chat_id"], one["values"]) for one in given_ones]


@given(
    value=st.recursive(
        _TRICKY, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TRICKY, inner, max_size=3)
    ),
    size=st.integers(1, 40),
)
def test_depth_is_the_same_whatever_the_size_of_the_pieces(value: Any, size: int) -> None:
    text = json.dumps(value).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(body, "SLICE", size)
        assert body._depth(text) == _nested(value)  # private: requests only show whether a limit is passed


def _nested(value: Any) -> int:
    if isinstance(value, str):
        return 0
    within = value.values() if isinstance(value, dict) else value
    return 1 + max((_nested(one) for one in within), default=0)


@pytest.mark.parametrize(
    ("chat_ids", "variables", "field"),
    [
        (b'["919537851844", 5]', b"null", "chat_ids"),
        (b'"919537851844"', b"null", "chat_ids"),
        (b'{"a": 1}', b"null", "chat_ids"),
        (b"[]", b"null", "chat_ids"),
        (b"null", b"null", "chat_ids"),
        (b'["919537851844"]', b'[{"chat_id": "919537851844"}]', "variables"),
        (b'["919537851844"]', b'[{"chat_id": "919537851844", "values": {"n": [1]}}]', "variables"),
        (b'["919537851844"]', b'["919537851844"]', "variables"),
        (b'["919537851844"]', b"7", "variables"),
    ],
)
def test_what_has_a_wrong_type_is_named(chat_ids: bytes, variables: bytes, field: str) -> None:
    with pytest.raises(Invalid) as error:
        read(recipients.recipients_in_body(raw(chat_ids), raw(variables), lambda _chat, _values: None))
    assert field in error.value.fields


def test_a_list_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(BadRequest):
        read(recipients.recipients_in_body(raw(b'["\xff"]'), raw(b"null"), lambda _chat, _values: None))


def test_a_hundred_thousand_with_values_are_read_in_many_steps_and_release_in_steps() -> None:
    chats = [f"9195{n:08d}" for n in range(100_000)]
    values = [{"chat_id": chat, "values": {"name": f"N{n}"}} for n, chat in enumerate(chats)]
    seen = []
    steps = recipients.recipients_in_body(
        raw(chats[:99_993] + chats[:7]), raw(values), lambda chat, _values: seen.append(chat)
    )
    taken = 0
    while True:
        before = len(seen)
        try:
            next(steps)
        except StopIteration as end:
            wanted = end.value
            break
        taken += 1
        assert len(seen) - before <= 1_500
    assert taken > 100 and len(seen) == 99_993
    assert wanted.recipients[99_992] == Recipient("919500099992@c.us", '{"name":"N99992"}')
    assert wanted.repeated == 7 and wanted.other is None
    assert len(list(recipients.release(wanted.recipients))) == 250 and wanted.recipients == []
