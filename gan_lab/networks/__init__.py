"""Generators and discriminators, always as a pair, so that their shapes agree by construction."""

from gan_lab.networks.base import NetworkPair, Packing, batch_coupling, with_packing
from gan_lab.networks.conv import Conv
from gan_lab.networks.dcgan import Dcgan
from gan_lab.networks.lipschitz import GroupSort, OrthonormalLinear, orthonormal
from gan_lab.networks.mlp import Mlp, Reshape

__all__ = [
    "Conv",
    "Dcgan",
    "GroupSort",
    "Mlp",
    "NetworkPair",
    "OrthonormalLinear",
    "Packing",
    "Reshape",
    "batch_coupling",
    "orthonormal",
    "with_packing",
]
