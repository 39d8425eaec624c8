"""One training step and its randomness: objective, gradients, state, optimisers, processes."""
