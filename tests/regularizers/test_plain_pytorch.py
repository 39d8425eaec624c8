"""Every loss and regularizer in a loop of plain PyTorch: modules, autograd, no trainer."""

import pytest
import torch
from torch import nn
from torch.func import functional_call

from gan_lab.engine.objective import Objective
from gan_lab.errors import ConfigError
from gan_lab.losses import Wasserstein
from gan_lab.networks import Mlp
from gan_lab.regularizers import Dragan, GradientPenalty, SpectralNorm, WeightClipping
from tests.helpers import load_loss, load_regularizers, names, normal, seeded

N, SHAPE = 6, (3,)


def make_critic(flat=True):
    """A plain module in float64; as most are written, its logits are [N, 1]."""
    torch.manual_seed(0)
    layers = [nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1), *([nn.Flatten(0)] if flat else [])]
    return nn.Sequential(*layers).double()


def batch():
    mix = torch.rand(N, generator=seeded(2), dtype=torch.float64)
    return normal(N, *SHAPE, seed=0), normal(N, *SHAPE, seed=1), mix


def gradients(value, critic):
    return torch.autograd.grad(value, list(critic.parameters()))


@pytest.mark.parametrize("regularizer", [name for name in names("regularizer") if name != "none"])
@pytest.mark.parametrize("loss", names("loss"))
def test_one_line_is_the_engines_objective(loss, regularizer):
    loss, (regularizer,) = load_loss(loss), load_regularizers(regularizer).values()
    critic, (real, fake, mix) = make_critic(), batch()
    regularizer.prepare(critic)
    noise = {
        name: normal(N, *shape, seed=9 + i)
        for i, (name, shape) in enumerate(regularizer.noise_spec(SHAPE).items())
    }
    params, buffers = dict(critic.named_parameters()), dict(critic.named_buffers())
    objective = Objective(nn.Identity(), critic, loss, [regularizer])
    expected, _, _ = objective.discriminator_loss(params, buffers, real, fake, mix, noise)

    weights = regularizer.reparametrize(params, buffers)
    real, fake = regularizer.inputs(real, fake, noise)
    real_logits, fake_logits = (functional_call(critic, weights, x) for x in (real, fake))
    value = loss.discriminator(real_logits, fake_logits).mean()
    value = value + regularizer.penalty(critic, real, fake, mix, noise).mean()

    torch.testing.assert_close(value, expected, rtol=1e-12, atol=1e-12)
    both = gradients(value, critic), gradients(expected, critic)
    torch.testing.assert_close(*both, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("regularizer", [GradientPenalty(), Dragan()], ids=str)
def test_a_critic_of_n_by_1_logits_has_the_same_value_and_gradients(regularizer):
    real, fake, mix = batch()

    def value(critic):
        torch.manual_seed(3)  # without noise DRAGAN draws its own
        loss = Wasserstein().discriminator(critic(real), critic(fake)).mean()
        return loss + regularizer.penalty(critic, real, fake, mix).mean()

    flat, column = make_critic(), make_critic(flat=False)
    assert column(real).shape == (N, 1)
    torch.testing.assert_close(value(flat), value(column), rtol=1e-12, atol=1e-12)
    both = gradients(value(flat), flat), gradients(value(column), column)
    torch.testing.assert_close(*both, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "critic",
    [
        lambda x: x,  # three logits a sample
        lambda x: x.sum(1).mean(),  # that of the first WGAN code: a mean over the batch
        lambda x: x.sum(1).mean(0, keepdim=True),
    ],
    ids=["three logits", "mean", "mean of one element"],
)
@pytest.mark.parametrize("in_transform", [False, True])
def test_a_critic_without_one_logit_a_sample_is_refused(critic, in_transform):
    class Score:
        def __init__(self):
            self.in_transform = in_transform

        def __call__(self, x):
            return critic(x)

    with pytest.raises(ConfigError, match=r"one logit per sample.*for 6 samples"):
        GradientPenalty().penalty(Score(), *batch())


@pytest.mark.parametrize("shape", [(), (1,), (N - 1,), (N, 3)])
def test_one_mixing_weight_for_the_whole_batch_is_refused(shape):
    real, fake, _ = batch()
    with pytest.raises(ConfigError, match=r"own mixing weight.*torch.rand\(6\)"):
        GradientPenalty().penalty(make_critic(), real, fake, torch.full(shape, 0.5))


def test_clipped_parameters_copied_back_are_in_the_box():
    critic = make_critic()
    clipped, _ = WeightClipping(0.05).after_step(dict(critic.named_parameters()), {})
    critic.load_state_dict(clipped)
    largest = max(weight.abs().max().item() for weight in critic.parameters())
    assert largest == pytest.approx(0.05, rel=1e-12)


def test_spectral_norm_of_a_plain_critic_is_1_layer_by_layer():
    critic, norm = make_critic(), SpectralNorm()
    norm.prepare(critic)
    params, buffers = dict(critic.named_parameters()), dict(critic.named_buffers())
    for _ in range(200):
        _, buffers = norm.after_step(params, buffers)
    weights = norm.reparametrize(params, buffers)
    for name in ("0.weight", "2.weight"):
        largest = torch.linalg.matrix_norm(weights[name], 2).item()
        assert largest == pytest.approx(1, rel=1e-9)


def test_the_networks_of_the_package_fit_the_line():
    critic = Mlp(latent_dim=2, width=8).discriminator(SHAPE).double()
    real, fake, mix = batch()
    loss = Wasserstein().discriminator(critic(real), critic(fake)).mean()
    (loss + GradientPenalty().penalty(critic, real, fake, mix).mean()).backward()
    assert all(weight.grad.isfinite().all() for weight in critic.parameters() if weight.ndim == 2)
