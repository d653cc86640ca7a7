"""The dashboard: phones, waiting messages, and the newest messages with their states and reasons.

It is a separate ASGI app. It reads through the ports `JobStore` and `Accounts`, and writes nothing but its session.
"""

from heliograph.dashboard.app import Dashboard

__all__ = ["Dashboard"]
