"""Webhooks: events fanned out to hooks, signed, delivered in order per chat, retried, kept and replayed."""
