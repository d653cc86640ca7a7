"""The store: one SQL text for two databases.

A *unit* is one transaction, written as a generator: it yields statements and receives their rows. Two shells drive
units: `sqlite.py` (one writer thread, group commit) and `postgresql.py` (a pool). The units know neither threads nor
sockets.
"""
