"""How this process is set up, from environment, `.env` and a TOML file, checked before anything starts.

Promise: a wrong or unknown name or value ends in one clear line; a secret is never shown by `repr`.
Known weakness: read once at start; a change needs a restart.
"""

from heliograph.settings.load import load_settings
from heliograph.settings.table import PREFIX, Settings, setting_rows

__all__ = ["PREFIX", "Settings", "load_settings", "setting_rows"]
