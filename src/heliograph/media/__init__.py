"""Media files, stored once before their message is accepted."""
