"""Composition: the only place where the rooms meet. Nothing is decided here, everything is joined.

`stores`: the database alone, for commands that open it. `sending` and `gateway`: the whole, role by role. `serve`: its
life as a process.
"""
