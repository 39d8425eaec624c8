"""Conditional pairs: any design, the projection's formula, and what is refused."""

from dataclasses import dataclass

import pytest
import torch
from torch import nn

from gan_lab.errors import ConfigError
from gan_lab.networks.base import NetworkPair, forward_on_meta, on_meta
from gan_lab.networks.conditional import Conditional
from gan_lab.networks.conv import Conv
from gan_lab.networks.dcgan import Dcgan
from gan_lab.networks.mlp import Mlp
from gan_lab.networks.r3gan import R3gan
from gan_lab.networks.resnet import Resnet
from tests.helpers import assert_same, normal, seeded, snapshot

K, Z, SHAPE = 5, 3, (1, 28, 28)
PAIRS = [
    Mlp(Z, 8, 2, conditional=True),
    Conv(Z, 4, discriminator_norm="layer", conditional=True),
    Dcgan(Z, 4, conditional=True),
    Resnet(Z, 4, conditional=True),
    R3gan(Z, 8, conditional=True),
]
EACH = pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: type(pair).__name__)


def filled(pair, network, seed=0):
    module = getattr(pair, network)(SHAPE)
    pair.initialise_(module, seeded(seed))
    return module


def classes(*indices):
    return nn.functional.one_hot(torch.tensor(indices), K).float()


@EACH
def test_every_pair_makes_samples_of_classes_and_one_logit_each(pair):
    both, labels = Conditional(pair, K), classes(0, 4, 4)
    z = normal(3, Z, dtype=torch.float32)
    samples = filled(both, "generator").eval()(torch.cat([z, labels], 1))
    assert samples.shape == (3, *SHAPE)
    assert filled(both, "discriminator")(samples, labels).shape == (3,)
    assert (both.latent_dim, both.n_classes, both.packing) == (Z, K, 1)
    generator, discriminator = on_meta(both, SHAPE)
    assert forward_on_meta(generator, torch.empty(2, Z + K, device="meta"))
    assert forward_on_meta(discriminator, torch.empty(2, *SHAPE, device="meta"))


@EACH
def test_the_class_moves_the_sample_and_the_logit(pair):
    both = Conditional(pair, K)
    generator, z = filled(both, "generator").eval(), normal(1, Z, dtype=torch.float32)
    a, b = (generator(torch.cat([z, classes(k)], 1)) for k in (0, 1))
    assert not torch.allclose(a, b, rtol=0.01, atol=0)
    discriminator = filled(both, "discriminator")
    x = normal(1, *SHAPE, dtype=torch.float32)
    a, b = (discriminator(x, classes(k)) for k in (0, 1))
    assert not torch.allclose(a, b, rtol=1e-3, atol=0)


@EACH
def test_a_logit_is_that_without_class_plus_the_projection_of_the_features(pair):
    discriminator = filled(Conditional(pair, K), "discriminator")
    x = normal(4, *SHAPE, dtype=torch.float32)
    indices = torch.tensor([0, 3, 3, 1])
    vectors = discriminator.projection.weight[indices]
    features = discriminator.features(x).flatten(1)
    expected = discriminator(x) + (vectors * features).sum(1)
    torch.testing.assert_close(discriminator(x, classes(*indices)), expected)


@EACH
def test_without_class_it_is_the_discriminator_of_the_plain_pair_with_its_first_weights(pair):
    both = Conditional(pair, K)
    plain, ours = filled(both.pair, "discriminator"), filled(both, "discriminator")
    theirs = [leaf for _, leaf in plain.named_parameters()]
    own = [leaf for name, leaf in ours.named_parameters() if not name.startswith("projection")]
    assert_same(dict(enumerate(own)), snapshot(dict(enumerate(theirs))))
    x = normal(4, *SHAPE, dtype=torch.float32)
    assert torch.equal(ours(x), plain(x))


@EACH
def test_the_initial_weights_are_those_of_the_seed(pair):
    both = Conditional(pair, K)
    for network in ("generator", "discriminator"):
        first, again, other = (filled(both, network, seed) for seed in (0, 0, 1))
        assert_same(first.state_dict(), again.state_dict())
        leaves = zip(first.parameters(), other.parameters(), strict=True)
        assert any(not torch.equal(a, b) for a, b in leaves)
    bound = first.projection.in_features**-0.5
    assert 0.9 * bound < float(first.projection.weight.detach().abs().max()) <= bound


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"packing": 2}, "set network.packing=1"),
        ({"lipschitz": True}, "set network.lipschitz=false"),
        ({"conditional": "yes"}, "is not true or false"),
    ],
)
def test_several_samples_or_a_bounded_slope_are_refused(wrong, words):
    with pytest.raises(ConfigError, match=words):
        Mlp(**{"latent_dim": 2, "width": 4, "conditional": True, **wrong})


@dataclass(frozen=True)
class Own(NetworkPair):
    """A pair of the user's own."""

    latent_dim: int = 2
    conditional: bool = True
    n_outputs: int = 1

    def generator(self, shape):
        return nn.Linear(self.latent_dim, shape[0])

    def discriminator(self, shape):
        layers = [nn.Linear(shape[0], 4), nn.ReLU(), nn.Linear(4, self.n_outputs), nn.Flatten(0)]
        return nn.Sequential(*layers) if self.n_outputs < 3 else nn.ModuleList(layers)

    def initialise_(self, module, generator):
        pass


def test_a_pair_of_ones_own_needs_a_discriminator_that_ends_in_one_linear_output():
    assert Conditional(Own(), K).discriminator((3,))(torch.ones(2, 3), classes(0, 1)).shape == (2,)
    for n in (2, 3):
        with pytest.raises(ConfigError, match="last layer with weights is linear and of one out"):
            Conditional(Own(n_outputs=n), K).discriminator((3,))
    with pytest.raises(TypeError, match="no network of a conditional pair"):
        Conditional(Own(), K).initialise_(nn.Linear(1, 1), seeded())
