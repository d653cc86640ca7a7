"""What an operator sees: structured logs without numbers or bodies, and counters for Prometheus."""
