"""Organisations as they are stored."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OrgRow:
    """An organisation: `org_no` is the store's number, `org_id` is shown to callers."""

    org_no: int
    org_id: str
    name: str
    created_at_us: int
