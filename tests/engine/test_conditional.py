"""Conditional runs in the engine: labels beside the batch, within-class penalties, stacking."""

import dataclasses

import pytest
import torch

from gan_lab.data.digits import Digits
from gan_lab.data.toy import Ring
from gan_lab.engine.labels import LABELS, ClassLabels, join_labels
from gan_lab.errors import ConfigError
from gan_lab.losses import Hinge, NonSaturating, RelativisticPairing, Wasserstein
from gan_lab.networks.conv import Conv
from gan_lab.networks.dcgan import Dcgan
from gan_lab.networks.mlp import Mlp
from gan_lab.regularizers import GradientPenalty
from tests.engine.test_step import EXACT, check_stacked_is_solo
from tests.helpers import CPU, draws_like, load_regularizers, normal, seeded, small_run

K, Z = 10, 3
PAIR = Mlp(Z, 8, 2, activation="softplus", conditional=True)


def labels_by_pixels(source, images):
    """The label of each training image that is one of these."""
    train = source.gather(torch.arange(source.n_train)).flatten(1)
    rows = (images.flatten(1)[:, None] == train).all(2)
    assert bool((rows.sum(1) == 1).all())
    return source.train_labels[rows.int().argmax(1)]


@pytest.mark.parametrize("seeds", [(0,), (0, 5)], ids=["solo", "stacked"])
def test_batches_noise_and_mix_are_those_of_the_unconditional_run_and_labels_come_beside(seeds):
    plain, conditional = (
        small_run(data=Digits(), network=dataclasses.replace(PAIR, conditional=c), seeds=seeds)
        for c in (False, True)
    )
    for step in (0, 33):
        without, with_labels = plain.streams.draws(step), conditional.streams.draws(step)
        for theirs, ours in zip(without, with_labels, strict=True):
            assert torch.equal(ours.real, theirs.real)
            assert torch.equal(ours.mix, theirs.mix)
            assert torch.equal(ours.z[..., :Z], theirs.z)
            assert set(ours.noise) - set(theirs.noise) == {LABELS}
            labels = ours.noise[LABELS]
            assert torch.equal(ours.z[..., Z:], labels)
            expected = labels_by_pixels(conditional.source, ours.real.flatten(0, -4))
            assert torch.equal(labels.flatten(0, -2).argmax(1), expected)
            assert bool((labels.sum(-1) == 1).all())


@pytest.mark.parametrize("weight", [0.0, 10.0])
def test_gradients_of_both_networks_are_those_of_plain_modules_within_a_class(weight):
    run = small_run(
        Wasserstein(), {"p": GradientPenalty(weight)}, data=Digits(), network=PAIR, float64=True
    )
    modules = []
    pair = run.config.pair(run.source)
    for name in ("generator", "discriminator"):
        module = getattr(pair, name)(run.source.shape).double()
        module.load_state_dict(getattr(run.state, name).params)
        modules.append(module)
    generator, critic = modules
    draws = draws_like(run).discriminator
    real, mix, labels = draws.real[0], draws.mix[0], draws.noise[LABELS][0]
    fake = generator(draws.z[0]).detach()
    points = mix.view(-1, 1, 1, 1) * real + (1 - mix.view(-1, 1, 1, 1)) * fake
    points.requires_grad_(True)
    (slope,) = torch.autograd.grad(critic(points, labels).sum(), points, create_graph=True)
    penalty = weight * (slope.flatten(1).norm(dim=1) - 1).square().mean()
    (critic(fake, labels).mean() - critic(real, labels).mean() + penalty).backward()
    ours, values, _ = run.gradients.discriminator(
        run.state.discriminator, real, fake, mix, draws.noise_of(0)
    )
    assert (float(values["loss/penalty"]) > 1e-3) == (weight > 0)
    for name, leaf in critic.named_parameters():
        torch.testing.assert_close(ours[name], leaf.grad, rtol=1e-9, atol=1e-12, msg=name)
    assert float(ours["projection.weight"].abs().max()) > 1e-6

    draws = draws_like(run).generator
    (-critic(generator(draws.z[0]), draws.noise[LABELS][0]).mean()).backward()
    ours = run.gradients.generator(run.state, draws.real[0], draws.z[0], draws.noise_of(0))[0]
    for name, leaf in generator.named_parameters():
        torch.testing.assert_close(ours[name], leaf.grad, rtol=1e-9, atol=1e-12, msg=name)


@pytest.mark.parametrize(
    ("loss", "files", "network"),
    [
        (Wasserstein(), ["gradient_penalty"], Dcgan(Z, 4, conditional=True)),
        (NonSaturating(), ["r1", "instance_noise"], PAIR),
        (Hinge(), ["spectral_norm"], Conv(Z, 4, "none", "batch", conditional=True)),
        (RelativisticPairing(), ["r1", "r2", "dragan"], Conv(Z, 4, "layer", conditional=True)),
    ],
    ids=["dcgan wgan-gp", "mlp r1", "conv spectral", "conv relativistic"],
)
def test_stacked_conditional_seeds_equal_solo_ones(loss, files, network):
    choice = {"loss": loss, "regularizers": load_regularizers(*files)}
    check_stacked_is_solo(data=Digits(), network=network, n_critic=2, **choice, **EXACT)


def test_gradient_norms_and_the_samples_to_measure_are_of_classes():
    run = small_run(Wasserstein(), data=Digits(), network=PAIR)
    z = run.noise(0, "any", 2000)
    assert z.shape == (2000, Z + K)
    shares = z[:, Z:].mean(0)
    torch.testing.assert_close(
        shares, run.source.modes.weights.float(), rtol=0, atol=5 * (0.09 / 2000) ** 0.5
    )
    same = run.noise(0, "any", 2000, z[:, Z:].roll(1, 1))
    assert torch.equal(same[:, :Z], z[:, :Z])
    assert not torch.equal(run.samples(0, same), run.samples(0, z))
    x, labels = normal(4, 1, 8, 8, dtype=torch.float32), run.labels.one_hot(torch.arange(4))
    leaves, mix = run.discriminator_leaves(0), torch.full((4,), 0.5)
    a, b = (
        run.objective.gradient_norms(*leaves, x, x, mix, each) for each in (labels, labels.roll(1))
    )
    tag = "discriminator_estimate/gradient_norm_mean"
    assert abs(float(a[tag] - b[tag])) > 1e-7


def test_labels_are_drawn_as_often_as_in_the_training_data_and_rows_hold_a_class_each():
    source = Digits().open(CPU)
    labels = ClassLabels(source)
    assert labels.n_classes == K
    assert torch.equal(labels.of(torch.arange(7)).argmax(1), source.train_labels[:7])
    assert torch.equal(labels.draw(9, seeded()), labels.draw(9, seeded()))
    assert labels.rows(64).tolist() == [k for k in range(K) for _ in range(6)]
    assert labels.rows(4).tolist() == [0, 1, 2, 3]
    z = normal(2, 3)
    assert join_labels(z, None) is z


def test_data_without_labels_are_refused():
    with pytest.raises(ConfigError, match=r"network\.conditional=true needs data with a class"):
        small_run(data=Ring(), network=PAIR)
