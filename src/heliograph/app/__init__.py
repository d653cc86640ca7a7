"""Composition: the only place where the rooms meet.

`database`: the database alone, for commands. `sender` and `gateway`: all rooms, role by role. `services`: the loop of
background services. `serve`: the process.
"""
