"""Generators and discriminators, always as a pair, so that their shapes agree by construction."""

from gan_lab.networks.base import NetworkPair, Packing, batch_coupling, with_packing
from gan_lab.networks.conditional import Conditional, ConditionalGenerator, ProjectionDiscriminator
from gan_lab.networks.conv import Conv
from gan_lab.networks.dcgan import Dcgan
from gan_lab.networks.lipschitz import GroupSort, OrthonormalLinear, orthonormal
from gan_lab.networks.mlp import Mlp, Reshape
from gan_lab.networks.r3gan import R3gan
from gan_lab.networks.resnet import Resnet

__all__ = [
    "Conditional",
    "ConditionalGenerator",
    "Conv",
    "Dcgan",
    "GroupSort",
    "Mlp",
    "NetworkPair",
    "OrthonormalLinear",
    "Packing",
    "ProjectionDiscriminator",
    "R3gan",
    "Reshape",
    "Resnet",
    "batch_coupling",
    "orthonormal",
    "with_packing",
]
