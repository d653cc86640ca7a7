"""Classes of driver errors: which ones mean that the database cannot serve now, and why.

Promise: an absent, locked, full or damaged database is one kind of error, however the driver spells it. It is answered
by 503, and the call may be repeated. An error that is in no table is a defect of the program.
"""

import sqlite3

# the first two characters of a SQLSTATE, or all five → reason
UNAVAILABLE_STATES = {
    "08": "the connection broke",
    "28": "the server refuses the login of the gateway",
    "3D": "the database is not there",
    "3F": "the schema is not there",
    "53": "the server is out of space, memory or connections",
    "57": "the server stops, or ended the call",
    "58": "the server cannot use its disk",
    "F0": "the server's configuration is damaged",
    "XX": "the database is damaged",
    "0A000": "the tables were changed meanwhile",
    "25006": "the database takes no writes",
    "25P03": "the transaction stood still for too long",
    "26000": "the connection lost its prepared statements",
    "42501": "the user of the gateway lacks a right",
    "42703": "a column is not there",
    "42P01": "a table is not there",
    "42P07": "a restore is under way",
    "55000": "the database takes no connections",
    "55P03": "a lock was not given in time",
    "55006": "the database is being changed",
}
CACHED_PLAN = "0A000"


def reason_of_state(sqlstate: str) -> str | None:
    """Gives the reason why PostgreSQL cannot serve now; None for a defect.

    >>> reason_of_state("3D000"), reason_of_state("42601")
    ('the database is not there', None)
    """
    return UNAVAILABLE_STATES.get(sqlstate) or UNAVAILABLE_STATES.get(sqlstate[:2])


def reason_of_sqlite(error: Exception) -> str | None:
    """Gives the reason why SQLite cannot serve now; None for a defect."""
    if isinstance(error, sqlite3.OperationalError):
        return str(error)
    if type(error) is sqlite3.DatabaseError:  # its subclasses are defects, but for the one above
        return f"the file is damaged: {error}"
    return None
