"""Regularizers of the discriminator; each composes with every loss."""

from gan_lab.regularizers.base import (
    GradientNormPenalty,
    Regularizer,
    Score,
    Tensors,
    input_gradient,
    norms,
)
from gan_lab.regularizers.gradient_penalty import R1, R2, Dragan, GradientPenalty
from gan_lab.regularizers.instance_noise import InstanceNoise
from gan_lab.regularizers.spectral_norm import SpectralNorm
from gan_lab.regularizers.weight_clipping import WeightClipping

__all__ = ["GradientNormPenalty", "Regularizer", "Score", "Tensors", "input_gradient", "norms"]
__all__ += ["GradientPenalty", "R1", "R2", "Dragan"]
__all__ += ["InstanceNoise", "SpectralNorm", "WeightClipping"]
