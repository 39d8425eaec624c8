"""Start, resume and fork: a run directory, and what happens around a training."""
