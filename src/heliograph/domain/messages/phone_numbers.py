"""Number plan: whether a phone number can exist, and the time zones in which its owner may be.

Promise: the zones are all those the number plan allows, so a rule that must hold where the person lives has to hold in
every one of them. Known weakness: people travel, and keep their numbers when they move.
"""

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from phonenumbers import PhoneNumber

# where a number says no more than its country, and the country is wide: the zone of most of its people goes first
_MAIN_ZONES = (
    "America/New_York",
    "Europe/Moscow",
    "Australia/Sydney",
    "America/Sao_Paulo",
    "America/Mexico_City",
    "Asia/Jakarta",
    "Europe/London",
    "Europe/Paris",
    "Europe/Madrid",
    "Europe/Lisbon",
    "Pacific/Auckland",
)


@lru_cache(maxsize=4_096)
def zones_of(chat_id: str) -> tuple[str, ...]:
    """The time zones of a person's number (`919876543210@c.us` or digits), the most likely first.

    Empty for groups, and for numbers whose country code is not given out.

    >>> zones_of("918012345678@c.us")
    ('Asia/Calcutta',)
    """
    number = _parsed(chat_id)
    if number is None:
        return ()
    from phonenumbers import timezone  # 15 MB of tables: only those who ask pay for them

    found = timezone.time_zones_for_number(number)
    if set(found) <= {timezone.UNKNOWN_TIMEZONE}:
        found = timezone.time_zones_for_geographical_number(number)  # by country, though the number is not given out
    zones = sorted({name for name in found if name != timezone.UNKNOWN_TIMEZONE})
    return tuple(sorted(zones, key=lambda name: (name not in _MAIN_ZONES, name)))


def possible(number: str) -> bool:
    """Tells whether a number of this length can exist in its country. Says nothing of its use, or of WhatsApp."""
    parsed = _parsed(number)
    if parsed is None:
        return False
    import phonenumbers

    return bool(phonenumbers.is_possible_number(parsed))


def _parsed(chat_id: str) -> "PhoneNumber | None":
    digits = chat_id.removeprefix("+").removesuffix("@c.us")
    if not digits.isascii() or not digits.isdigit():
        return None
    import phonenumbers

    try:
        return phonenumbers.parse("+" + digits)
    except phonenumbers.NumberParseException:
        return None
