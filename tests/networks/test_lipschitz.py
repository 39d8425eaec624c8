"""Orthonormal layers and GroupSort: a slope of at most 1 whatever the leaves are."""

import pytest
import torch
from torch import nn

from gan_lab.engine.gradients import Gradients
from gan_lab.engine.optimizers import Adam
from gan_lab.errors import ConfigError
from gan_lab.networks.lipschitz import GroupSort, OrthonormalLinear, orthonormal
from gan_lab.networks.mlp import Mlp
from gan_lab.regularizers import GradientPenalty, SpectralNorm
from gan_lab.training.validate import warnings
from tests.helpers import (
    assert_same,
    normal,
    seeded,
    small_config,
    small_run,
    snapshot,
    take_steps,
)

SHAPES = [(1, 1), (1, 5), (5, 1), (4, 4), (7, 3), (3, 7), (2, 64), (2, 6, 3)]
SCALES = [0.0, 1e-3, 1.0, 30.0]


def discriminator(shape=(3,), width=8, depth=3, scale=1.0):
    pair = Mlp(2, width, depth, lipschitz=True)
    module = pair.discriminator(shape)
    pair.initialise_(module, seeded(0))
    with torch.no_grad():
        for leaf in module.parameters():
            leaf.copy_(leaf + scale * normal(*leaf.shape, seed=3))
    return module.double()


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_cayley_transform_of_any_weight_is_orthonormal(shape, scale):
    q = orthonormal(scale * normal(*shape))
    gram = q.mT @ q if shape[-2] >= shape[-1] else q @ q.mT
    torch.testing.assert_close(gram, torch.eye(min(shape[-2:])).double().expand(gram.shape))
    assert q.shape == shape


def test_it_reaches_rotations_and_its_gradient_is_that_of_finite_differences():
    angle = torch.tensor(0.7, dtype=torch.float64)
    half = torch.tan(angle / 2)
    weight = torch.tensor([[0.0, half / 2], [-half / 2, 0.0]], dtype=torch.float64)
    expected = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()]).reshape(2, 2)
    torch.testing.assert_close(orthonormal(weight), expected)
    tall = normal(5, 3).requires_grad_()
    assert torch.autograd.gradcheck(orthonormal, tall)
    assert torch.autograd.gradgradcheck(orthonormal, tall)


@pytest.mark.parametrize("n", [1, 2, 3, 6, 8])
def test_group_sort_sorts_each_group_and_the_rest(n):
    x = normal(20, n)
    expected = torch.cat([group.sort(-1).values for group in x.split(3, -1)], -1)
    torch.testing.assert_close(GroupSort(3)(x), expected, rtol=0, atol=0)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize(("shape", "width"), [((1,), 8), ((2,), 7), ((3,), 1), ((1, 4, 4), 6)])
def test_no_difference_of_logits_exceeds_that_of_the_samples(shape, width, scale):
    network = discriminator(shape, width, scale=scale)
    for step in (1e-6, 1e-2, 10.0):
        x = 3 * normal(500, *shape)
        y = x + step * normal(500, *shape, seed=1)
        slopes = (network(x) - network(y)).abs() / (x - y).flatten(1).norm(dim=1)
        assert slopes.max() <= 1 + 1e-7


def test_gradients_keep_their_length_where_every_layer_is_square():
    layers = [layer for _ in range(9) for layer in (OrthonormalLinear(6, 6), GroupSort())]
    network = nn.Sequential(*layers, OrthonormalLinear(6, 1))
    for seed, leaf in enumerate(network.parameters()):
        leaf.data = normal(*leaf.shape, seed=seed)
    x = normal(50, 6).requires_grad_()
    (gradient,) = torch.autograd.grad(network(x).sum(), x)
    torch.testing.assert_close(gradient.norm(dim=1), torch.ones(50).double())


def test_the_forward_pass_is_a_pure_function_of_the_leaves():
    network, x = discriminator(), normal(4, 3)
    before = snapshot(dict(network.named_parameters()))
    torch.testing.assert_close(network(x), network(x), rtol=0, atol=0)
    assert_same(snapshot(dict(network.named_parameters())), before)
    assert not list(network.buffers())


def test_the_generator_is_that_of_the_plain_pair():
    plain, lipschitz = Mlp(2, 8, 2), Mlp(2, 8, 2, lipschitz=True)
    leaves = []
    for pair in (plain, lipschitz):
        module = pair.generator((2,))
        pair.initialise_(module, seeded(0))
        leaves.append(snapshot(dict(module.named_parameters())))
    assert_same(*leaves)


@pytest.mark.parametrize("regularizers", [{}, {"gp": GradientPenalty()}], ids=["none", "penalty"])
def test_seeds_trained_together_are_those_trained_alone(regularizers):
    network = Mlp(2, 6, 2, lipschitz=True)
    parts = {"network": network, "regularizers": regularizers, "float64": True}
    together = small_run(seeds=(0, 1), **parts)
    assert type(together.gradients) is Gradients  # no analytic form
    take_steps(together, 3)
    for index, seed in enumerate((0, 1)):
        alone = small_run(seeds=(seed,), **parts)
        take_steps(alone, 3)
        for name, leaf in alone.state.discriminator.params.items():
            stacked = together.state.discriminator.params[name][index]
            torch.testing.assert_close(stacked, leaf, rtol=1e-9, atol=1e-11)


def test_what_it_excludes_is_refused_and_what_is_pointless_is_said():
    with pytest.raises(ConfigError, match=r"discriminator_norm=layer.*set network\.discrim.*none"):
        Mlp(2, 8, lipschitz=True, discriminator_norm="layer")
    with pytest.raises(ValueError, match=r"Mlp\.lipschitz='yes' is not true or false"):
        Mlp(2, 8, lipschitz="yes")
    network = Mlp(2, 8, 2, lipschitz=True)
    for regularizer in (GradientPenalty(), SpectralNorm()):
        config = small_config(network=network, regularizers={"own": regularizer})
        assert any("own has nothing to add" in each for each in warnings(config))
    bare = small_config(network=network, optim=Adam(1e-3))
    assert not any("gradient norm" in each for each in warnings(bare))
