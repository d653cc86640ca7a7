"""Ways to WhatsApp, one folder each, behind `ports.provider.Provider` and one contract test."""
