"""Generators and discriminators, always as a pair, so that their shapes agree by construction."""

from gan_lab.networks.base import NetworkPair, Packing, batch_coupling
from gan_lab.networks.dcgan import Dcgan
from gan_lab.networks.mlp import Mlp

__all__ = ["Dcgan", "Mlp", "NetworkPair", "Packing", "batch_coupling"]
