"""One run: its configuration, the loop, and what the loop does besides stepping."""
