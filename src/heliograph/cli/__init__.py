"""Command line. Start-up stays cheap: each command imports its heavy modules on use."""
