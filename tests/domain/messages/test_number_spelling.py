"""Tests of phone numbers as people and spreadsheets write them: they are read, or refused with a reason."""

import random

import pytest

from heliograph.domain.errors import Invalid
from heliograph.domain.messages.chat import parse_chat_id, parse_number
from heliograph.domain.messages.number_spelling import UnreadableNumber, canonical, read_number


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("12025550104", "12025550104"),
        ("+1 (202) 555-0104", "12025550104"),
        ("(+1) 202.555.0104", "12025550104"),
        ("+1\u00a0202\u2009555\u20110104", "12025550104"),
        ("\u202a12025550104\u202c", "12025550104"),
        ("\ufeff12025550104", "12025550104"),
        ("\u0661\u0662\u0660\u0662\u0665\u0665\u0665\u0660\u0661\u0660\u0664", "12025550104"),
        ("\uff0b\uff11\uff12\uff10\uff12\uff15\uff15\uff15\uff10\uff11\uff10\uff14", "12025550104"),
        ("'12025550104", "12025550104"),
        ("12025550104.0", "12025550104"),
        ("12025550104.00", "12025550104"),
        ("12025550104,0", "12025550104"),
        ("+12025550104.", "12025550104"),
        ("1.2025550104E+10", "12025550104"),
        ("1,2025550104e10", "12025550104"),
        ("1.20255501040E+10", "12025550104"),
    ],
)
def test_a_number_is_read_as_it_was_meant(written: str, meant: str) -> None:
    assert read_number(written) == meant


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("12025550104.5", "decimal fraction"),
        ("12025550104-0", "single digit"),
        ("1.202.555.0104.0", "single digit"),
        ("1.20256E+10", "shortened"),
        ("1E+10", "shortened"),
        ("+44 (0)20 7946 0958", r"\(0\)"),
        ("02079460958", "country code"),
        ("0044 20 7946 0958", "country code"),
        ("12025550104 ext 7", "'e'"),
        ("12025550104/12025550105", "'/'"),
        ("12025550104, 12025550105", "','"),
        ("1+2025550104", "before the country code"),
        ("123456", "7 to 15 digits"),
        ("1234567890123456", "7 to 15 digits"),
        ("\u200b", "missing"),
        ("\u00bd2025550104", "no part of a number"),
    ],
)
def test_ambiguous_numbers_are_refused_with_a_reason(written: str, reason: str) -> None:
    with pytest.raises(UnreadableNumber, match=reason):
        read_number(written)


@pytest.mark.parametrize(
    "spellings",
    [
        ("5511987654321", "551187654321", "+55 (11) 8765-4321"),
        ("5491123456789", "541123456789", "+54 11 2345-6789"),
        ("525512345678", "5215512345678", "+52 1 55 1234 5678"),
    ],
)
def test_two_spellings_of_one_mobile_number_are_one_chat(spellings: tuple[str, ...]) -> None:
    assert {parse_chat_id(one) for one in spellings} == {f"{spellings[0]}@c.us"}


@pytest.mark.parametrize("number", ["551133334444", "5511987654321", "12025550104", "525512345678", "5493511234567"])
def test_a_number_with_one_spelling_stays_as_it_is(number: str) -> None:
    assert canonical(number) == number


def test_a_whole_number_of_json_is_its_digits_and_a_device_is_no_part_of_it() -> None:
    assert parse_chat_id(12025550104) == parse_chat_id("12025550104:7@s.whatsapp.net") == "12025550104@c.us"
    assert parse_number(12025550104) == "12025550104"


@pytest.mark.parametrize("given", [True, 12025550104.0, None, ["12025550104"], -12025550104, 10**30])
def test_anything_else_is_no_chat(given: object) -> None:
    with pytest.raises(Invalid):
        parse_chat_id(given)


MARKS = ["\u200b", "\u200e", "\u200f", "\u202a", "\u202c", "\u2060", "\u2066", "\u2069", "\ufeff", "\u00ad"]
BETWEEN = [" ", "-", ".", "\u00a0", "\u2009", "\u202f", "\u2010", "\u2011", "\u2013", "\u2212", " - ", "  "]
ZEROS = ["0", "\u0660", "\u06f0", "\u0966", "\u09e6", "\uff10"]


def _spelled(dice: random.Random, digits: str) -> str:
    way = dice.randrange(8)
    if way == 0:
        return digits + dice.choice([".0", ".00", ".000", ",0", ",00", "."])
    if way == 1:
        kept = dice.randrange(1, len(digits) + 2)
        return f"{digits[0]}.{digits[1:kept] or '0'}E+{len(digits) - 1}"
    if way == 2:
        return digits + dice.choice(["-0", ".5", " x1", "/2", ".50", "\u20111", ",5"])
    zero = dice.choice(ZEROS)
    text = "".join(chr(ord(zero) + int(d)) for d in digits)
    for _ in range(dice.randrange(6)):
        at = dice.randrange(1, len(text))
        text = text[:at] + dice.choice(BETWEEN + MARKS) + text[at:]
    text = dice.choice(["", "+", "(+", "\uff0b"]) + text
    if dice.random() < 0.3:
        at = dice.randrange(1, len(text))
        text = f"{text[:at]}({text[at:]})" if dice.random() < 0.5 else f"{text[:at]}) {text[at:]}"
    return dice.choice([*MARKS, "", " ", "'"]) + text + dice.choice([*MARKS, "", " "])


def test_ten_thousand_spellings_are_the_person_meant_or_refused() -> None:
    dice, read = random.Random(4711), 0
    for _ in range(10_000):
        digits = str(dice.randrange(1, 10)) + "".join(str(dice.randrange(10)) for _ in range(dice.randrange(6, 15)))
        written = _spelled(dice, digits)
        try:
            found = read_number(written)
        except UnreadableNumber as why:
            assert str(why)
            continue
        read += 1
        assert found == canonical(digits), written
    assert read > 4_000
