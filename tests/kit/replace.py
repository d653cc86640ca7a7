"""Copies of frozen dataclasses and structs with changes."""

import dataclasses
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")


def replace(value: T, **changes: Any) -> T:
    how: Any = dataclasses.replace if dataclasses.is_dataclass(value) else msgspec.structs.replace
    changed: T = how(value, **changes)
    return changed
