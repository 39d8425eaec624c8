"""Gradients by hand are those of autograd, to rounding; where they do not apply, autograd is."""

import itertools
from dataclasses import dataclass, replace

import pytest
import torch
from torch import nn

from gan_lab.data.digits import Digits
from gan_lab.engine.backends.mlp_gradients import AnalyticMlpGradients, match_mlp
from gan_lab.engine.backends.select import build_gradients
from gan_lab.engine.execution import Execution
from gan_lab.engine.gradients import FunctionalGradients, Gradients
from gan_lab.engine.optimizers import Adam
from gan_lab.engine.precision import Arithmetic
from gan_lab.networks.dcgan import Dcgan
from gan_lab.networks.mlp import Mlp
from gan_lab.regularizers import GradientPenalty
from gan_lab.regularizers.base import GradientNormPenalty, input_gradient, norms
from tests.helpers import (
    draws_like,
    load_loss,
    load_regularizers,
    names,
    normal,
    small_run,
    snapshot,
    take_steps,
)

PENALTIES = [(), ("gradient_penalty",), ("r1", "r2"), ("dragan",), ("weight_clipping", "r1")]


def both_ways(run):
    """Gradients and values of both players, by autograd and by hand."""
    assert AnalyticMlpGradients.supports(run.objective)
    found = []
    for kind in (Gradients, AnalyticMlpGradients):
        gradients = kind(run.objective, run.gradients.stacked)
        d, g = draws_like(run)
        fake = gradients.fakes(run.state, d.z)
        moved = gradients.discriminator(
            run.state.discriminator, d.real[0], fake[0], d.mix[0], d.noise_of(0)
        )
        of_generator = gradients.generator(run.state, g.real[0], g.z[0], g.noise_of(0))
        found.append({"fakes": fake, **moved[0], **moved[1]})
        found.append({**of_generator[0], **of_generator[1]})
    return found[:2], found[2:]


def check_same(run, rtol=0.0, atol=1e-12):
    for ours, theirs in zip(*both_ways(run), strict=True):
        assert ours.keys() == theirs.keys()
        for name, tensor in ours.items():
            torch.testing.assert_close(theirs[name], tensor, rtol=rtol, atol=atol, msg=name)
            assert tensor.isfinite().all()


@pytest.mark.parametrize("seeds", [(0,), (0, 1, 2)], ids=["solo", "stacked"])
@pytest.mark.parametrize("files", PENALTIES, ids=["+".join(p) or "none" for p in PENALTIES])
@pytest.mark.parametrize("loss", [n for n in names("loss") if n != "wasserstein_clip"])
def test_gradients_by_hand_are_those_of_autograd(loss, files, seeds):
    check_same(small_run(load_loss(loss), load_regularizers(*files), seeds=seeds, float64=True))


@pytest.mark.parametrize("activation", ["relu", "leaky_relu"])
@pytest.mark.parametrize("depth", [1, 2, 4])
def test_they_are_for_every_depth_and_activation(depth, activation):
    network = Mlp(latent_dim=3, width=8, depth=depth, activation=activation)
    penalty = {"p": GradientPenalty(one_sided=True, target=0.1)}
    check_same(small_run(network=network, regularizers=penalty, float64=True))


@pytest.mark.parametrize("seeds", [(0,), (0, 1)], ids=["solo", "stacked"])
def test_they_are_for_images_whose_generator_ends_in_tanh(seeds):
    network = Mlp(latent_dim=3, width=8)
    penalty = load_regularizers("gradient_penalty")
    run = small_run(network=network, regularizers=penalty, data=Digits(), seeds=seeds, float64=True)
    check_same(run)


def test_a_penalty_of_ones_own_is_known_if_it_is_on_slopes():
    @dataclass(frozen=True)
    class Cubic(GradientNormPenalty):
        def points(self, real, fake, mix, noise):
            return real - 0.5 * fake

        def cost(self, gradient_norms):
            return gradient_norms**3

    check_same(small_run(regularizers={"cubic": Cubic()}, float64=True))

    class Other(Cubic):
        def penalty(self, score, real, fake, mix, noise=None):
            return norms(input_gradient(score, real)) + score(fake)

    assert not AnalyticMlpGradients.supports(small_run(regularizers={"other": Other()}).objective)


@pytest.mark.parametrize("files", ["spectral_norm", "instance_noise"])
def test_autograd_is_taken_where_a_regularizer_changes_weights_or_inputs(files):
    run = small_run(regularizers=load_regularizers(files))
    assert type(run.gradients) is Gradients


@pytest.mark.parametrize(
    "network",
    [
        *({"activation": "tanh"}, {"activation": "silu"}, {"packing": 2}),
        *({"generator_norm": "batch"}, {"discriminator_norm": "layer"}),
    ],
    ids=str,
)
def test_autograd_is_taken_for_other_networks(network):
    assert type(small_run(network=Mlp(latent_dim=3, width=8, **network)).gradients) is Gradients
    assert type(small_run().gradients) is AnalyticMlpGradients


def test_a_module_that_only_looks_like_a_perceptron_is_none():
    class Doubled(nn.Sequential):
        def forward(self, x):
            return 2 * super().forward(x)

    layers = list(Mlp(latent_dim=2, width=4).discriminator((2,)))
    assert match_mlp(nn.Sequential(*layers), bf16=False) is not None
    assert match_mlp(Doubled(*layers), bf16=False) is None
    assert match_mlp(nn.Sequential(*layers[:-1]), bf16=False) is None
    assert match_mlp(nn.Sequential(*layers[:3], nn.ReLU(), *layers[3:]), bf16=False) is None
    assert match_mlp(nn.Sequential(nn.Linear(2, 1, bias=False), layers[-1]), bf16=False) is None


def test_tangents_are_forward_derivatives_of_what_every_layer_puts_out():
    module = Mlp(latent_dim=2, width=6, activation="leaky_relu").discriminator((2,)).double()
    net = match_mlp(module, bf16=False)
    leaves = {name: leaf.detach() for name, leaf in module.named_parameters()}
    x, v = normal(5, 2).double(), normal(5, 2, seed=1).double()
    _, moved = torch.func.jvp(lambda x: tuple(net.forward(leaves, x)), (x,), (v,))
    inputs = net.forward(leaves, x)
    net.tangents_(leaves, inputs, v)
    for ours, theirs in zip(inputs[:-1], moved[:-1], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-14)


@pytest.mark.parametrize("seeds", [(0,), (0, 1, 2)], ids=["solo", "stacked"])
def test_a_training_by_hand_is_one_by_autograd(seeds):
    choice = {"regularizers": load_regularizers("gradient_penalty"), "optim": Adam(1e-3)}
    runs = [small_run(seeds=seeds, float64=True, **choice) for _ in range(2)]
    take_steps(runs[0], 20, gradients=Gradients(runs[0].objective, len(seeds) > 1))
    take_steps(runs[1], 20, gradients=AnalyticMlpGradients(runs[1].objective, len(seeds) > 1))
    for name, leaf in snapshot(runs[0].state.average).items():
        torch.testing.assert_close(runs[1].state.average[name], leaf, rtol=0, atol=1e-9)


# bf16.

WIDE = Mlp(latent_dim=3, width=32)


def cosine(a, b):
    a, b = (torch.cat([leaf.flatten() for leaf in leaves.values()]) for leaves in (a, b))
    return float(torch.dot(a, b) / a.norm() / b.norm())


@pytest.mark.parametrize("seeds", [(0,), (0, 1)], ids=["solo", "stacked"])
def test_bf16_turns_a_gradient_a_little_and_keeps_weights_float32(seeds):
    penalty = load_regularizers("gradient_penalty")
    run = small_run(load_loss("wasserstein"), penalty, network=WIDE, seeds=seeds)
    d = draws_like(run).discriminator
    fake = run.gradients.fakes(run.state, d.z)[0]
    plain, rounded = (
        AnalyticMlpGradients(run.objective, len(seeds) > 1, bf16=bf16).discriminator(
            run.state.discriminator, d.real[0], fake, d.mix[0], {}
        )[0]
        for bf16 in (False, True)
    )
    biases = [leaf for name, leaf in rounded.items() if name.endswith("bias")]
    assert {leaf.dtype for leaf in biases} == {torch.float32}
    moved = run.state.discriminator.collect_(rounded)
    assert moved.dtype == torch.float32
    assert 0.995 < cosine(plain, {n: g.float() for n, g in rounded.items()}) < 1 - 1e-7


def test_bf16_of_a_convolutional_network_rounds_products_and_returns_float32():
    module = Dcgan(latent_dim=3, width=8).discriminator((1, 8, 8))
    leaves = {name: leaf.detach() for name, leaf in module.named_parameters()}
    x = normal(4, 1, 8, 8).float()
    plain, rounded = (Arithmetic(bf16=b)(module, leaves, x) for b in (False, True))
    assert rounded.dtype == torch.float32
    torch.testing.assert_close(rounded, plain, rtol=0.1, atol=0.02)
    assert not torch.equal(rounded, plain)


# The order of numbers in memory.


def test_channels_last_changes_no_number():
    network = Dcgan(latent_dim=3, width=4, generator_norm="batch")
    penalty = load_regularizers("gradient_penalty")
    run = small_run(network=network, regularizers=penalty, data=Digits(), float64=True)
    assert run.gradients.objective.arithmetic.channels_last
    d, g = draws_like(run)
    plain = Gradients(run.objective)
    assert not plain.objective.arithmetic.channels_last
    for gradients in (plain, run.gradients):
        fake = gradients.fakes(run.state, d.z)
        ours = gradients.discriminator(run.state.discriminator, d.real[0], fake[0], d.mix[0], {})
        theirs = gradients.generator(run.state, g.real[0], g.z[0], {})
        if gradients is plain:
            expected = (fake, ours, theirs)
    torch.testing.assert_close(fake, expected[0], rtol=0, atol=1e-14)
    for found, wanted in ((ours, expected[1]), (theirs, expected[2])):
        for name, gradient in wanted[0].items():
            torch.testing.assert_close(found[0][name], gradient, rtol=0, atol=1e-12, msg=name)


# Compiled.


def check_compiled_is_eager(kind, n_steps=3, **choice):
    runs = [small_run(optim=Adam(1e-3), n_critic=2, **choice) for _ in range(2)]
    stacked = len(runs[0].seeds) > 1
    compiled = build_gradients(runs[0].objective, stacked, Execution(mode="compiled"))
    assert type(compiled) is kind
    for gradients, run in zip((compiled, runs[1].gradients), runs, strict=True):
        take_steps(run, n_steps, gradients=gradients)
    for name, leaf in runs[1].state.average.items():
        torch.testing.assert_close(runs[0].state.average[name], leaf, rtol=1e-4, atol=1e-6)


TWO = (("wasserstein", 1.0), ("non_saturating", 3.0))
SIX = tuple(itertools.product(("wasserstein", "non_saturating"), (0.0, 1.0, 3.0)))


@pytest.mark.parametrize("objectives", [TWO, pytest.param(SIX, marks=pytest.mark.slow)])
def test_compiled_objectives_of_one_process_do_not_share_what_was_compiled(objectives):
    """Only tensors are checked before compiled code is taken again, and here they are the same."""
    run = small_run(load_loss("wasserstein"))
    for loss, weight in objectives:
        penalty = GradientPenalty(weight=weight)
        objective = replace(run.objective, loss=load_loss(loss), regularizers=(penalty,))
        d = draws_like(run).discriminator
        arguments = run.state.discriminator, d.real[0], d.z[0], d.mix[0], {}
        eager, values, _ = AnalyticMlpGradients(objective).discriminator(*arguments)
        compiled = AnalyticMlpGradients(objective, compiled=True).discriminator(*arguments)
        for name, gradient in eager.items():
            torch.testing.assert_close(compiled[0][name], gradient, rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(compiled[1]["loss/penalty"], values["loss/penalty"])


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [(0,), (0, 1)], ids=["solo", "stacked"])
@pytest.mark.parametrize("files", PENALTIES[1:4], ids=["gp", "r1+r2", "dragan"])
def test_every_compiled_step_is_the_eager_one(files, seeds):
    regularizers = load_regularizers(*files)
    check_compiled_is_eager(AnalyticMlpGradients, regularizers=regularizers, seeds=seeds)


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [(0,), (0, 1)], ids=["solo", "stacked"])
def test_a_compiled_step_of_other_networks_is_the_eager_one(seeds):
    network = Mlp(latent_dim=3, width=8, activation="tanh")
    penalty = load_regularizers("gradient_penalty")
    check_compiled_is_eager(FunctionalGradients, network=network, regularizers=penalty, seeds=seeds)
