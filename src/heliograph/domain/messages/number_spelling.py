"""Reads a phone number as people and spreadsheets write it, and gives each person one spelling.

Promise: the answer holds exactly the digits that were written, or the text is refused with a reason. A number never
grows: a decimal fraction is dropped when it is zero and refused otherwise.
Known weakness: other countries than the three of `canonical` may have two spellings too; theirs are taken as written.
"""

import re
import unicodedata

_PLAIN = re.compile(r"[1-9][0-9]{6,14}", re.ASCII)
_DECIMAL = re.compile(r"\+?([0-9]{7,})[.,]([0-9]*)", re.ASCII)
_SCIENTIFIC = re.compile(r"\+?([1-9])(?:[.,]([0-9]+))?[eE]\+?([0-9]{1,2})", re.ASCII)
_TRUNK_ZERO = re.compile(r"\(\s*0\s*\)", re.ASCII)
_LONE_LAST_DIGIT = re.compile(r"[.\-][0-9]$", re.ASCII)
_GROUPED = re.compile(r"\+?[0-9()][0-9() .\-]*", re.ASCII)
_QUOTE_MARKS = "'\u2019"  # a spreadsheet's sign that a cell is text
_MINUS = "\u2212"


class UnreadableNumber(ValueError):
    """The text is no number of one person. The message says why, for the writer of the text."""


def read_number(text: str) -> str:
    """The digits of the number, country code first, in the canonical spelling. Raises UnreadableNumber.

    >>> read_number("+1 (202) 555-0100"), read_number("12025550104.0"), read_number("1.2025550104E+10")
    ('12025550100', '12025550104', '12025550104')
    """
    if _PLAIN.fullmatch(text):
        return canonical(text)
    return canonical(_digits(_visible(text).lstrip(_QUOTE_MARKS).strip()))


def canonical(digits: str) -> str:
    """One spelling for a mobile number that its country writes in two ways.

    Brazil's ninth digit is added, Argentina's 9 is added, Mexico's former 1 is dropped.

    >>> canonical("551187654321"), canonical("541123456789"), canonical("5215512345678")
    ('5511987654321', '5491123456789', '525512345678')
    """
    if len(digits) == 12:
        if digits.startswith("55") and digits[4] in "6789":
            return f"{digits[:4]}9{digits[4:]}"
        if digits.startswith("54") and digits[2] != "9":
            return f"549{digits[2:]}"
    elif len(digits) == 13 and digits.startswith("521"):
        return f"52{digits[3:]}"
    return digits


def other_spelling(written: str, chat_id: str) -> str | None:
    """The digits as they were written, where they are the other spelling of the chat's number; else None."""
    if not chat_id.startswith(("52", "54", "55")) or not chat_id.endswith("@c.us"):
        return None
    number = chat_id.removesuffix("@c.us")
    digits = re.sub(r"[^0-9]", "", _visible(written.partition("@")[0]))
    return digits if digits != number and canonical(digits) == number else None


def _visible(text: str) -> str:
    """The text without invisible marks, with plain blanks, dashes and digits."""
    plain = []
    for char in text:
        category = unicodedata.category(char)
        if char in "\t\n\r" or category in ("Zs", "Zl", "Zp"):
            plain.append(" ")
        elif category in ("Cf", "Cc"):
            continue
        elif category == "Pd" or char == _MINUS:
            plain.append("-")
        elif category == "Nd":
            plain.append(str(unicodedata.decimal(char)))
        else:
            plain.append(
                {"\uff0b": "+", "\uff08": "(", "\uff09": ")", "\uff0e": ".", "\uff0c": ",", "[": "(", "]": ")"}.get(
                    char, char
                )
            )
    return "".join(plain).strip()


def _digits(text: str) -> str:
    if not text:
        raise UnreadableNumber("the number is missing")
    if match := _DECIMAL.fullmatch(text):
        whole, fraction = match[1], match[2]
        if fraction.strip("0"):
            raise UnreadableNumber("a number of a phone has no decimal fraction; format the column as text")
        return _bounded(whole)
    if match := _SCIENTIFIC.fullmatch(text):
        return _bounded(_unshortened(match[1], match[2] or "", int(match[3])))
    if _TRUNK_ZERO.search(text):
        raise UnreadableNumber("leave out the (0): it is dialled only inside the country")
    bare = text.replace("(", "", 1) if text.startswith("(+") else text
    if not _GROUPED.fullmatch(bare):
        raise UnreadableNumber(_why_not(bare))
    if _LONE_LAST_DIGIT.search(bare):
        raise UnreadableNumber(
            "a single digit behind the last dot or dash is no part of a number; format the column as text"
        )
    return _bounded(re.sub(r"[^0-9]", "", bare))


def _unshortened(first: str, rest: str, exponent: int) -> str:
    digits = rest.rstrip("0") if len(rest) > exponent else rest
    if len(digits) != exponent:
        raise UnreadableNumber("the spreadsheet shortened the number; format the column as text and enter it again")
    return first + digits


def _bounded(digits: str) -> str:
    if digits.startswith("0"):
        raise UnreadableNumber("a number begins with its country code, not with 0")
    if not 7 <= len(digits) <= 15:
        raise UnreadableNumber(f"a number has 7 to 15 digits, not {len(digits)}")
    return digits


def _why_not(text: str) -> str:
    if strange := next((char for char in text if char not in "0123456789+() .-"), None):
        return f"it holds {strange!r}, which is no part of a number"
    return "a + stands only before the country code"
