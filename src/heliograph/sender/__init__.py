"""The sender: leases of phones, pacing, sending, settling, recovery, receipts, retention.

Promise: a message is sent only after its start is on disk, and only while this process holds the phone's lease.
"""
