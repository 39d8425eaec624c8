"""Faster ways to the numbers of a step: analytic gradients, matrix products, CUDA graphs."""
