"""Settings of this process from environment, `.env` and a TOML file, checked before anything starts.

Promise: a wrong or unknown name or value gives one clear line. `repr` never shows a secret.
Known weakness: settings are read at start, so a change needs a restart.
"""

from heliograph.settings.load import load_settings
from heliograph.settings.table import PREFIX, Settings, setting_rows

__all__ = ["PREFIX", "Settings", "load_settings", "setting_rows"]
