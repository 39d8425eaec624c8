"""What the loop does besides stepping: logging, evaluation, best checkpoint, divergence."""
