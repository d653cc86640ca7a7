"""A phone's credentials: checked by the provider, sealed for this phone, stored.

Promise: no answer, error text or log line holds any part of them.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from heliograph.api.http.dependencies import ApiDeps
from heliograph.domain.accounts.phone import PhoneRow
from heliograph.domain.errors import Conflict, Invalid, invalid
from heliograph.ports.provider import Phone
from heliograph.ports.secrets import CannotOpen


def new_config(
    deps: ApiDeps, provider: str, phone_id: str, number: str | None, config: Mapping[str, str] | None
) -> str:
    """Returns the sealed configuration of a new phone, `{}` for a provider without one. Raises Invalid."""
    setup = deps.setup(provider)
    if setup is None:
        if config:
            raise _no_config(provider)
        return "{}"
    if not number:
        raise invalid("number", f"number is missing: which number has the phone of {provider}?")
    if config is None:
        raise invalid("config", f"config is missing: a phone of {provider} needs its settings and credentials")
    return _sealed(deps, phone_id, setup.accept_config(config))


def changed_config(deps: ApiDeps, phone: PhoneRow, changes: Mapping[str, str]) -> str:
    """Returns the stored configuration with changes. Credentials that do not open are replaced as a whole."""
    setup = deps.setup(phone.provider)
    if setup is None:
        raise _no_config(phone.provider)
    try:
        known = opened(deps, phone)
    except CannotOpen:
        known = {}
    return _sealed(deps, phone.phone_id, setup.accept_config({**known, **changes}))


def opened(deps: ApiDeps, phone: PhoneRow) -> dict[str, Any]:
    """Returns the stored configuration. Raises CannotOpen."""
    text = deps.secrets.open(phone.config, about=phone.phone_id) if deps.secrets is not None else phone.config
    return msgspec.json.decode(text or "{}", type=dict[str, Any])


def to_check(deps: ApiDeps, phone: PhoneRow) -> Phone:
    """Returns the phone with its configuration. Raises Conflict if its credentials cannot be opened."""
    try:
        return Phone(phone.phone_no, phone.phone_id, phone.number, phone.provider, opened(deps, phone))
    except CannotOpen as problem:
        raise Conflict(str(problem)) from None


def _sealed(deps: ApiDeps, phone_id: str, config: Mapping[str, Any]) -> str:
    text = msgspec.json.encode(config).decode()
    return deps.secrets.seal(text, about=phone_id) if deps.secrets is not None else text


def _no_config(provider: str) -> Invalid:
    return invalid("config", f"A phone of {provider} takes no config")
