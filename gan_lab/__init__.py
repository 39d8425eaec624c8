"""gan_lab: a laboratory that compares GANs and Wasserstein GANs by the same metrics."""

__version__ = "0.1.0"
