"""Promises between rooms, as Protocols only. A room asks for what it needs here and gets it from `app`."""
