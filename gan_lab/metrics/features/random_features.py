"""Features of images without labels: random convolutions that never change."""

from collections.abc import Iterator

import torch
from torch import Tensor

from gan_lab.data.base import FiniteSource, Source
from gan_lab.data.classifier import train_subset
from gan_lab.data.image_network import (
    Extractor,
    block_size,
    build_image_network,
    network_shape,
    pooled_stds,
    shrink,
)

SEED = 0
_N_IMAGES = 5000  # whose features give the stds, at most


def random_extractor(source: Source) -> Extractor:
    """Return the features of a network with random weights, the same for every run and set.

    What they see is colour, texture and coarse shape; what an image shows they do not know.

    Reference: Naeem et al. 2020, arXiv:2002.09797, for random features where no trained ones fit.
    """
    generator = torch.Generator().manual_seed(SEED)
    network = build_image_network(network_shape(source.shape), 1, generator)
    network = network.requires_grad_(False).to(source.device)
    stds = pooled_stds(network, map(shrink, _real_images(source)))
    return Extractor(network, stds, has_classes=False)


def _real_images(source: Source) -> Iterator[Tensor]:
    """Return training images in blocks, the same for every run."""
    size = block_size(source.shape)
    if isinstance(source, FiniteSource):
        indices = train_subset(source, _N_IMAGES).split(size)
        return (source.take("train", block) for block in indices)
    generator = torch.Generator(source.device).manual_seed(SEED)
    return (source.real(size, generator) for _ in range(max(1, _N_IMAGES // size)))
