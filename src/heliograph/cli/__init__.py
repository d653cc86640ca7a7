"""What a person types. Start-up stays cheap: every command, and everything heavy, is imported on use."""
