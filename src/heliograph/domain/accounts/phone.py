"""Sending phones as they are stored, added and changed. Times are microseconds UTC."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class PhoneRow:
    """A sending phone as it is stored.

    `state` is a word of ports.provider.SessionState, `state_detail` its reason. `hold_until_us` and
    `new_chats_until_us`: the network asked the phone, or its new chats, to wait. `pacing`: the name of a preset, or a
    policy as JSON. `config` is sealed.
    """

    phone_no: int
    org_no: int
    org_id: str
    phone_id: str
    number: str
    provider: str
    name: str
    image: str
    labels: tuple[str, ...]
    state: str
    state_detail: str
    state_at_us: int
    pacing: str
    config: str = field(repr=False)
    paused_at_us: int | None
    paused_by: str | None
    hold_until_us: int | None
    hold_reason: str | None
    new_chats_until_us: int | None
    first_connected_at_us: int | None
    created_at_us: int
    updated_at_us: int
    restarts: int = 0


@dataclass(frozen=True, slots=True)
class NewPhone:
    """A phone to be added. `config` is sealed already."""

    org_no: int
    phone_id: str
    number: str
    provider: str
    name: str = ""
    pacing: str = "none"
    config: str = field(default="{}", repr=False)


@dataclass(frozen=True, slots=True)
class PhonePatch:
    """A change of a phone; None leaves a value as it is. `config` is sealed already."""

    name: str | None = None
    image: str | None = None
    labels: tuple[str, ...] | None = None
    pacing: str | None = None
    config: str | None = field(default=None, repr=False)
