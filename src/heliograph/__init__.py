"""Heliograph: a WhatsApp sending gateway that keeps a message on disk before it says yes."""
