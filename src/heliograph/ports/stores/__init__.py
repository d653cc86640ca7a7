"""Promises of the store, one Protocol for each subject.

A method is one transaction unless it says that it works in steps. When it returns, its commit is synced to disk. Every
method raises Unavailable while the database is full or away; then nothing is stored, unless it works in steps.

Units: `_us` is microseconds UTC, `_s` seconds. `org_no`, `phone_no` and other `_no` are numbers of this store.
"""
