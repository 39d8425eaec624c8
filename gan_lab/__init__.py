"""gan_lab: a laboratory that compares GANs and Wasserstein GANs with one clock and one ruler."""

__version__ = "0.1.0"
