"""The page that people look at: the phones, what waits, the newest messages with their states and why.

An ASGI app of its own. It reads through the ports `Intake` and `Accounts`, and changes nothing but its own session.
"""

from heliograph.dashboard.app import Dashboard

__all__ = ["Dashboard"]
