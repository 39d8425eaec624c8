"""From YAML and typed keys to a checked configuration."""
