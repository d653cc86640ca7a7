"""Frozen values of either kind, changed."""

import dataclasses
from typing import Any

import msgspec


def replace(value: Any, **changes: Any) -> Any:
    how = dataclasses.replace if dataclasses.is_dataclass(value) else msgspec.structs.replace
    return how(value, **changes)
