"""Chat ids and phone numbers, checked and brought to one spelling.

Source: contract section 1, "Id formats"; interface, "The simulator".
"""

import re

from heliograph.domain.errors import Invalid, invalid

_PERSON = re.compile(r"\+?([1-9][0-9]{6,14})(@c\.us|@s\.whatsapp\.net)?", re.ASCII)
_GROUP = re.compile(r"([0-9]{5,20}(-[0-9]{5,12})?)@g\.us", re.ASCII)
_TEST = re.compile(r"120255501([0-9]{2})@c\.us|1203630000000001([0-9]{2})@g\.us", re.ASCII)


def parse_chat_id(text: object, field: str = "chat_id") -> str:
    """The canonical id: `<country code><number>@c.us` or `<digits>@g.us`. Raises Invalid naming `field`."""
    if not isinstance(text, str) or not text:
        raise invalid(field, f"{field} is missing" if not text else f"{field} must be a string")
    if match := _PERSON.fullmatch(text):
        return f"{match[1]}@c.us"
    if _GROUP.fullmatch(text):
        return text
    raise bad_chat_id(text, field)


def bad_chat_id(text: str, field: str) -> Invalid:
    shapes = "a country code and number such as 919537851844 (with or without @c.us) or a group id ending in @g.us"
    return invalid(field, f"{field} must be {shapes}", text)


def is_group(chat_id: str) -> bool:
    return chat_id.endswith("@g.us")


def parse_number(text: object, field: str = "number") -> str:
    """Digits only, country code first. Raises Invalid naming `field`."""
    if isinstance(text, str) and (match := _PERSON.fullmatch(re.sub(r"[ ()\-]", "", text))):
        return match[1]
    raise invalid(field, f"{field} must be a country code and number, digits only, such as 919876543210")


def test_suffix(chat_id: str) -> str | None:
    """The two digits that choose a test recipient's behaviour; None for every other chat."""
    match = _TEST.fullmatch(chat_id)
    return (match[1] or match[2]) if match else None
