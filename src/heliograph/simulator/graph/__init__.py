"""A local stand-in for WhatsApp's Cloud API: the same paths, answers, limits, errors and signed webhooks, no account.

Promise: a message whose POST was taken is in the journal before its answer leaves, whether the answer arrives or not.
Weakness: the journal lives in memory, and the texts of errors are ours; clients must act on codes.
"""

from heliograph.simulator.graph.config import Rules
from heliograph.simulator.graph.serve import GraphServer, graph_server, serve_graph

__all__ = ["GraphServer", "Rules", "graph_server", "serve_graph"]
