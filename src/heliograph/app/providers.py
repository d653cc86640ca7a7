"""The list of providers: a new one is a folder that exports a `SPEC`, and one line here."""

from heliograph.providers import cloud, simulator
from heliograph.providers.spec import ProviderSpec

PROVIDERS: list[ProviderSpec] = [
    simulator.SPEC,  # the first is the one of a phone that is added without a word of its provider
    cloud.SPEC,
]
