"""Closed-form derivatives are autograd's; a loss or cost that is not known has none."""

from dataclasses import dataclass, replace

import pytest
import torch

from gan_lab.engine.backends import derivatives
from gan_lab.losses.wasserstein import Wasserstein
from gan_lab.regularizers import R1, R2, Dragan, GradientPenalty
from tests.helpers import load_loss, names, normal

LOSSES = [name for name in names("loss") if name != "relativistic"]
PENALTIES = [
    GradientPenalty(weight=3.0, target=0.7),
    GradientPenalty(weight=3.0, target=0.7, one_sided=True),
    *(R1(weight=3.0), R2(weight=3.0), Dragan(weight=3.0)),
]


def check_same(closed_form, function, *x, by):
    """Compare derivatives by the last arguments with autograd's."""
    leaves = [each.clone().requires_grad_(True) for each in x]
    expected = torch.autograd.grad(function(*leaves).sum(), leaves[-by:])
    actual = closed_form(*x)
    assert len(actual) == by
    for ours, theirs in zip(actual, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-14)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("scale", [1.0, 50.0])
def test_those_of_losses_are_autograds(name, scale):
    loss, of = load_loss(name), derivatives
    real, fake = scale * normal(3, 50).double(), scale * normal(3, 50, seed=1).double()
    check_same(of.of_discriminator(loss), loss.discriminator, real, fake, by=2)
    check_same(of.of_generator(loss), loss.generator, real, fake, by=1)


@pytest.mark.parametrize("penalty", PENALTIES, ids=repr)
def test_those_of_costs_are_autograds(penalty):
    norms = normal(3, 50).double().abs()
    norms[0, 0] = 0.0
    assert 0 < (norms < 0.7).sum() < norms.numel()
    check_same(derivatives.of_cost(penalty), penalty.cost, norms, by=1)


def test_an_overriding_class_has_none():
    @dataclass(frozen=True)
    class Halved(Wasserstein):
        def discriminator(self, real_logits, fake_logits):
            return super().discriminator(real_logits, fake_logits) / 2

    @dataclass(frozen=True)
    class Cubic(GradientPenalty):
        def cost(self, gradient_norms):
            return gradient_norms**3

    assert derivatives.of_discriminator(Halved()) is None
    assert derivatives.of_generator(Halved()) is not None
    assert derivatives.of_cost(Cubic()) is None
    assert derivatives.of_cost(replace(GradientPenalty(), weight=0.1)) is not None
