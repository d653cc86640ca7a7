"""The simulated WhatsApp network: test recipients, a journal of its own, faults. It knows nothing of the gateway."""
