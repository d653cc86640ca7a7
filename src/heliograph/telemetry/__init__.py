"""Telemetry: structured logs without numbers or bodies, and metrics for Prometheus."""
