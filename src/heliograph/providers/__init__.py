"""Ways to WhatsApp, one file or folder each, behind `ports.provider.Provider` and one contract test."""
