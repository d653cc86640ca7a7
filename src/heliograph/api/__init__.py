"""The HTTP API: the contract's paths under /v1, probes, and their description. `http.build_api` makes it one app."""
