"""What a loss, a regularizer or a layer declares decides what is warned of and refused."""

from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
import torch
from torch import nn

from gan_lab.engine.distributed import World
from gan_lab.engine.optimizers import Adam, RmsProp, Sgd
from gan_lab.errors import ConfigError
from gan_lab.losses import Hinge, Wasserstein
from gan_lab.networks.mlp import Mlp
from gan_lab.regularizers import (
    Dragan,
    GradientPenalty,
    InstanceNoise,
    Regularizer,
    SpectralNorm,
    WeightClipping,
)
from gan_lab.training.validate import validate, warnings
from tests.helpers import CPU, small_config

TWO = World(0, 2, 0, 2)


@dataclass(frozen=True)
class Own(Hinge):
    """A loss that is not ours and declares what Wasserstein declares."""

    needs_lipschitz: ClassVar[bool] = True


def own(**traits):
    """A regularizer that is not ours, with its traits."""
    named = {"__repr__": lambda self: f"own({', '.join(traits)})"}
    return type("OwnRegularizer", (Regularizer,), {**traits, **named})()


def said(loss, *regularizers, optim=None):
    """What is warned of: names of the sentences' openings."""
    names = {f"r{i}": each for i, each in enumerate(regularizers)}
    kinds = ("without a regularizer", "barely moves", "momentum")
    sentences = warnings(small_config(loss, names, optim=optim or RmsProp(1e-3)))
    found = [[kind for kind in kinds if kind in sentence] for sentence in sentences]
    assert all(len(each) == 1 for each in found), sentences
    return {each for (each,) in found}


NONE, ALONE, MOMENTUM = ("without a regularizer",), ("barely moves",), ("momentum",)


@pytest.mark.parametrize("loss", [Wasserstein(), Own()], ids=["wasserstein", "own"])
@pytest.mark.parametrize(
    ("regularizers", "answer"),
    [
        ((), NONE),
        ((InstanceNoise(),), NONE),
        ((own(),), NONE),
        ((own(constrains_lipschitz=True),), ()),
        ((GradientPenalty(),), ()),
        ((Dragan(),), ()),
        ((WeightClipping(),), ()),
        ((SpectralNorm(),), ALONE),
        ((SpectralNorm(), InstanceNoise()), ALONE),
        ((SpectralNorm(), GradientPenalty()), ()),
        ((own(constrains_lipschitz=True, normalizes_layers=True),), ALONE),
    ],
    ids=str,
)
def test_a_critic_whose_value_means_nothing_or_that_barely_moves_is_warned_of(
    loss, regularizers, answer
):
    assert said(loss, *regularizers) == set(answer)
    assert said(Hinge(), *regularizers) == set()  # a bounded loss needs no constraint


@pytest.mark.parametrize(
    ("optim", "has_momentum"),
    [
        *((RmsProp(1e-3), False), (RmsProp(1e-3, momentum=0.5), True)),
        *((Sgd(1e-3), False), (Sgd(1e-3, momentum=0.1), True)),
        *((Adam(1e-3), True), (Adam(1e-3, betas=(0.0, 0.9)), False)),
    ],
    ids=str,
)
def test_momentum_is_warned_of_where_a_regularizer_does_not_bear_it(optim, has_momentum):
    # An optimiser has momentum where a gradient of 0 does not leave the weights in place.
    flat = torch.zeros(1, requires_grad=True)
    state = optim.init_state(flat.detach())
    for gradient in (1.0, 0.0):
        before = flat.detach().clone()
        optim.update_(flat.detach(), torch.tensor([gradient]), state, 1e-3)
    assert bool(flat.detach() != before) == has_momentum == optim.has_momentum
    for regularizer in (WeightClipping(), own(unstable_with_momentum=True)):
        answer = set(MOMENTUM if has_momentum else ())
        assert said(Hinge(), regularizer, optim=optim) == answer
    assert said(Hinge(), GradientPenalty(), optim=optim) == set()


class BatchLayer(nn.Module):
    """A layer that is not ours; its traits are set by the network."""

    def forward(self, x):
        return x - x.mean(0)


@dataclass(frozen=True)
class Pair(Mlp):
    """Perceptrons whose discriminator has such a layer, with some traits."""

    traits: tuple[str, ...] = ()

    def discriminator(self, shape):
        layer = BatchLayer()
        for trait in self.traits:
            setattr(layer, trait, True)
        return nn.Sequential(layer, super().discriminator(shape))


def refusal(config):
    try:
        validate(config, config.data.open(CPU), here=False)
    except ConfigError as error:
        return str(error)
    return ""


def test_regularizers_are_refused_by_what_they_declare():
    for regularizer, in_one, in_two in (
        (own(), "", ""),
        (own(needs_whole_batch=True), "", "regularizer 'own' needs a whole batch"),
        (Dragan(), "", "regularizer 'own' needs a whole batch"),
        (GradientPenalty(), "", ""),
    ):
        config = small_config(None, {"own": regularizer})
        assert refusal(config).startswith(in_one)
        assert bool(refusal(config)) == bool(in_one)
        answer = refusal(replace(config, world=TWO))
        assert answer.startswith(in_two)
        assert bool(answer) == bool(in_two)


@pytest.mark.parametrize(
    ("traits", "with_penalty", "in_two"),
    [
        ((), False, False),
        (("couples_samples",), True, False),
        (("needs_whole_batch",), True, True),
    ],
)
def test_layers_are_refused_by_what_they_declare(traits, with_penalty, in_two):
    network = Pair(2, 8, 2, traits=traits)
    config = small_config(network=network)
    assert refusal(config) == ""
    penalty = refusal(replace(config, regularizers={"own": own(needs_independent_samples=True)}))
    assert ("contains BatchLayer ('0')" in penalty) == bool(penalty) == with_penalty
    processes = refusal(replace(config, world=TWO))
    assert ("network.discriminator contains BatchLayer" in processes) == bool(processes) == in_two
