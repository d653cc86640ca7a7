"""Chat ids and phone numbers, checked and brought to one spelling.

Source: contract section 1, "Id formats"; interface, "The simulator".
"""

import re

from heliograph.domain.errors import Invalid, invalid
from heliograph.domain.messages.number_spelling import UnreadableNumber, read_number

_SUFFIX = re.compile(r"(?::[0-9]{1,3})?@(?:c\.us|s\.whatsapp\.net)$", re.ASCII)  # a device's number may stand before it
_GROUP = re.compile(r"([0-9]{5,20}(-[0-9]{5,12})?)@g\.us", re.ASCII)
_TEST = re.compile(r"120255501([0-9]{2})@c\.us|1203630000000001([0-9]{2})@g\.us", re.ASCII)


def parse_chat_id(text: object, field: str = "chat_id") -> str:
    """The canonical id: `<country code><number>@c.us` or `<digits>@g.us`. Raises Invalid naming `field`.

    A number is read as people write it (`number_spelling.py`); a whole number of JSON is taken as its digits.
    """
    if isinstance(text, int) and not isinstance(text, bool):
        text = str(text)
    if not isinstance(text, str) or not text:
        raise invalid(field, f"{field} is missing" if not text else f"{field} must be a string", text)
    if _GROUP.fullmatch(text):
        return text
    try:
        return f"{read_number(_SUFFIX.sub('', text))}@c.us"
    except UnreadableNumber as why:
        raise bad_chat_id(text, field, str(why)) from None


def bad_chat_id(text: str, field: str, why: str = "") -> Invalid:
    shapes = "a country code and number such as 919537851844 (with or without @c.us) or a group id ending in @g.us"
    return invalid(field, f"{field} must be {shapes}" + (f"; {why}" if why else ""), text)


def is_group(chat_id: str) -> bool:
    return chat_id.endswith("@g.us")


def parse_number(text: object, field: str = "number") -> str:
    """Digits only, country code first. Raises Invalid naming `field`."""
    if isinstance(text, int) and not isinstance(text, bool):
        text = str(text)
    try:
        return read_number(_SUFFIX.sub("", text)) if isinstance(text, str) else _refuse()
    except UnreadableNumber as why:
        shapes = "a country code and number, digits only, such as 919876543210"
        raise invalid(field, f"{field} must be {shapes}; {why}", text) from None


def _refuse() -> str:
    raise UnreadableNumber("it is no text")


def test_suffix(chat_id: str) -> str | None:
    """The two digits that choose a test recipient's behaviour; None for every other chat."""
    match = _TEST.fullmatch(chat_id)
    return (match[1] or match[2]) if match else None
