"""The HTTP API: the contract's paths under /v1, probes and the API's description. `app.build_api` builds the app."""
