"""Meaning without machinery: no I/O, no clock, no async. Every other room may import this one."""
