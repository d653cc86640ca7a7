"""HTTP/1.1 connections: what a request may look like, how long it may take, and how many there may be.

`connection.py` reads requests, `strict.py` checks a head, `admission.py` counts connections and cuts slow ones,
`limits.py` names the figures. tests/app/http compares this folder with h11 on generated requests.
"""
