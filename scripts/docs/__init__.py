"""Generated parts of README.md and docs/, and the training runs behind the README's table."""
