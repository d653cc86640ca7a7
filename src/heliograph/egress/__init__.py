"""Egress: the only place that requests outside URLs (webhooks and media)."""
