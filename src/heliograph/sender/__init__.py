"""The engine: takes phones by lease, paces, sends, settles, recovers, applies receipts, prunes.

Promise: nothing is sent whose start is not on disk, and only for phones whose lease this process holds by its own
clock.
"""
