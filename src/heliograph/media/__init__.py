"""The bytes of media: stored once, before the message that needs them is accepted."""
