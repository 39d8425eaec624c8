"""Theorems about every loss in conf/loss, and about each by name."""

import dataclasses
import math

import pytest
import torch

from gan_lab.losses import (
    Hinge,
    LeastSquares,
    LossCard,
    Minimax,
    NonSaturating,
    RelativisticPairing,
    Wasserstein,
)
from tests.helpers import load_loss, names, normal

NETWORKS = ["discriminator", "generator"]
# Two discrete distributions that overlap in part.
P = torch.tensor([0.5, 0.3, 0.2, 0.0], dtype=torch.float64)
Q = torch.tensor([0.1, 0.3, 0.35, 0.25], dtype=torch.float64)


@pytest.fixture(params=names("loss"))
def loss(request):
    return load_loss(request.param)


def logits(n, dtype=torch.float64):
    return normal(n, seed=1, dtype=dtype), normal(n, seed=2, dtype=dtype)


def expected(loss, f, p=P, q=Q):
    """E over x ~ p, y ~ q of the discriminator's loss for logits f on the support."""
    zero = torch.zeros_like(f)
    # Split into the real and the fake term, each against a logit of 0 on the other side.
    both = loss.discriminator(f, zero), loss.discriminator(zero, f)
    constant = loss.discriminator(zero, zero)[0]
    return (p * both[0]).sum() + (q * both[1]).sum() - constant


def generator_gradient(loss, x):
    x = x.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(loss.generator(torch.zeros_like(x), x).sum(), x)
    return gradient


def test_there_are_at_least_the_six_losses_of_the_design():
    entropy, others = {"minimax", "non_saturating"}, {"wasserstein", "least_squares", "hinge"}
    assert set(names("loss")) >= {*entropy, *others, "relativistic"}


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("n", [1, 2, 64])
def test_a_loss_is_per_sample_and_keeps_the_dtype(loss, network, dtype, n):
    value = getattr(loss, network)(*logits(n, dtype))
    assert value.shape == (n,)
    assert value.dtype == dtype


@pytest.mark.parametrize("network", NETWORKS)
def test_each_value_depends_on_its_own_pair_only(loss, network):
    real, fake = logits(7)
    together = getattr(loss, network)(real, fake)
    alone = torch.cat([getattr(loss, network)(real[i : i + 1], fake[i : i + 1]) for i in range(7)])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-15)


@pytest.mark.parametrize("network", NETWORKS)
def test_gradients_are_those_of_finite_differences(loss, network):
    pair = [x.requires_grad_(True) for x in logits(6)]
    assert torch.autograd.gradcheck(getattr(loss, network), pair)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_and_gradients_are_finite_at_huge_logits(loss, network, dtype):
    ends = torch.tensor([-1e4, 1e4], dtype=dtype)
    real = ends.repeat(2).requires_grad_(True)
    fake = ends.repeat_interleave(2).requires_grad_(True)
    value = getattr(loss, network)(real, fake)
    assert value.isfinite().all()
    gradients = torch.autograd.grad(value.sum(), (real, fake), allow_unused=True)
    assert any(gradient is not None for gradient in gradients)
    for gradient in gradients:
        assert gradient is None or gradient.isfinite().all()


@pytest.mark.parametrize("network", NETWORKS)
def test_logits_that_would_broadcast_are_refused(loss, network):
    real, fake = logits(4)
    for pair in ((real, fake[:, None]), (real[:, None], fake), (real, fake[:1])):
        with pytest.raises(ValueError, match=r"one shape.*\(4,"):
            getattr(loss, network)(*pair)


def test_the_discriminator_tells_real_from_fake(loss):
    real, fake = torch.full((3,), 2.0), torch.full((3,), -2.0)
    right, wrong = loss.discriminator(real, fake), loss.discriminator(fake, real)
    assert (right < wrong).all()


def test_the_generator_wants_higher_fake_logits(loss):
    real = torch.zeros(5, dtype=torch.float64)
    # Least squares wants them at 1, so nothing is asked beyond.
    fake = torch.tensor([-3.0, -1.0, 0.0, 0.5, 0.9], dtype=torch.float64)
    assert (loss.generator(real, fake).diff() < 0).all()


def test_the_card_is_complete(loss):
    card = loss.card
    assert isinstance(card, LossCard)
    for field in dataclasses.fields(card):
        if field.name not in ("equilibrium", "unit"):
            assert getattr(card, field.name).strip(), field.name
    assert isinstance(card.unit, str)
    assert card.reference.count("arXiv:") >= 1
    assert len(card.equilibrium) == 2
    assert all(math.isfinite(value) for value in card.equilibrium)


def test_the_cards_equilibrium_is_the_loss_of_the_best_constant_discriminator(loss):
    # Where p_data = p_g no discriminator can do better than a constant; the best constants are
    # those that minimise its loss, and at one of them stands the generator's value.
    constants = torch.linspace(-3, 3, 601, dtype=torch.float64)
    discriminator = loss.discriminator(constants, constants)
    best = discriminator < discriminator.min() + 1e-12
    assert discriminator.min().item() == pytest.approx(loss.card.equilibrium[0], abs=1e-12)
    generator = loss.generator(constants, constants)[best]
    assert (generator - loss.card.equilibrium[1]).abs().min().item() == pytest.approx(0, abs=1e-12)


def test_compares_real_says_whether_the_generator_looks_at_real_logits(loss):
    real, fake = logits(5)
    same = torch.equal(loss.generator(real, fake), loss.generator(torch.zeros_like(real), fake))
    assert same != loss.compares_real


def test_needs_lipschitz_says_whether_a_steeper_critic_always_does_better(loss):
    # Along a critic that is right everywhere, t f with t -> infinity: unbounded below or not.
    real, fake = (sign * 1e6 * torch.ones(1, dtype=torch.float64) for sign in (1, -1))
    assert (loss.discriminator(real, fake).item() < -1e3) == loss.needs_lipschitz


def test_estimates_are_scalars_of_known_names(loss):
    estimate = loss.estimate(*logits(5))
    assert set(estimate) <= {"js", "wasserstein", "offset"}
    assert all(value.shape == () for value in estimate.values())


def test_a_loss_is_frozen(loss):
    with pytest.raises(dataclasses.FrozenInstanceError):
        loss.anything = 1


@pytest.mark.parametrize("logit", [-30.0, -1.0, 0.0, 1.0, 30.0])
def test_minimax_saturates_where_non_saturating_does_not(logit):
    x = torch.tensor([logit], dtype=torch.float64)
    for loss, expected in ((Minimax(), -torch.sigmoid(x)), (NonSaturating(), torch.sigmoid(x) - 1)):
        gradient = generator_gradient(loss, x)
        torch.testing.assert_close(gradient, expected, rtol=1e-12, atol=1e-15)


def test_minimax_and_non_saturating_differ_in_the_generator_only():
    real, fake = logits(9)
    minimax, heuristic = Minimax(), NonSaturating()
    assert type(minimax).discriminator is type(heuristic).discriminator
    assert torch.equal(minimax.discriminator(real, fake), heuristic.discriminator(real, fake))
    # log(1 - D) and -log D differ by the logit: softplus(-f) + softplus(f) = f + 2 softplus(-f).
    difference = heuristic.generator(real, fake) - minimax.generator(real, fake)
    torch.testing.assert_close(difference, 2 * torch.nn.functional.softplus(fake) - fake)


def test_minimax_is_zero_sum_up_to_the_real_term():
    real, fake = logits(9)
    loss = Minimax()
    real_term = torch.nn.functional.softplus(-real)
    total = loss.discriminator(real, fake) + loss.generator(real, fake)
    torch.testing.assert_close(total, real_term, rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    ("loss", "real", "fake", "discriminator", "generator"),
    [
        (Minimax(), 0.0, 0.0, 2 * math.log(2), -math.log(2)),
        (NonSaturating(), 0.0, 0.0, 2 * math.log(2), math.log(2)),
        (Minimax(), math.log(3), -math.log(3), 2 * math.log(4 / 3), math.log(3 / 4)),
        (NonSaturating(), math.log(3), -math.log(3), 2 * math.log(4 / 3), math.log(4)),
        (LeastSquares(), 0.0, 0.0, 0.5, 0.5),
        (LeastSquares(), 0.5, 0.5, 0.25, 0.125),
        (LeastSquares(), 1.0, 0.0, 0.0, 0.5),
        (LeastSquares(), 0.0, 1.0, 1.0, 0.0),
        (Hinge(), 0.0, 0.0, 2.0, 0.0),
        (Hinge(), 1.0, -1.0, 0.0, 1.0),
        (Hinge(), 5.0, -7.0, 0.0, 7.0),
        (Hinge(), -1.0, 1.0, 4.0, -1.0),
        (Hinge(), 0.25, -0.5, 1.25, 0.5),
        (Wasserstein(), 3.0, 1.0, -2.0, -1.0),
        (Wasserstein(), -1.0, 4.0, 5.0, -4.0),
        (RelativisticPairing(), 2.0, 2.0, math.log(2), math.log(2)),
        (RelativisticPairing(), math.log(3), 0.0, math.log(4 / 3), math.log(4)),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, float) else f"{value:.3g}",
)
def test_known_values(loss, real, fake, discriminator, generator):
    pair = torch.tensor([[real], [fake]], dtype=torch.float64)
    assert loss.discriminator(*pair).item() == pytest.approx(discriminator, abs=1e-14)
    assert loss.generator(*pair).item() == pytest.approx(generator, abs=1e-14)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("shift", [-11.0, 0.5, 3.0])
def test_relativistic_depends_on_the_difference_of_logits_only(network, shift):
    real, fake = logits(8)
    value = getattr(RelativisticPairing(), network)
    torch.testing.assert_close(value(real + shift, fake + shift), value(real, fake))


def test_relativistic_generator_is_not_the_ordinary_one():
    real, fake = logits(8)
    loss = RelativisticPairing()
    ordinary = NonSaturating().generator(real, fake)
    assert (loss.generator(real, fake) - ordinary).abs().min() > 1e-3
    # It is the discriminator's with the pair exchanged.
    assert torch.equal(loss.generator(real, fake), loss.discriminator(fake, real))


def js(p, q):
    m = (p + q) / 2
    return (torch.special.xlogy(p, p / m) + torch.special.xlogy(q, q / m)).sum().item() / 2


def minimum(loss, start):
    """The smallest expected loss over logits in [-40, 40] on the support, by LBFGS."""
    f = start.clone().requires_grad_(True)
    optimizer = torch.optim.LBFGS([f], max_iter=500, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        value = expected(loss, f)
        value.backward()
        return value

    optimizer.step(closure)
    return expected(loss, f).item(), f.detach()


@pytest.mark.parametrize("loss", [Minimax(), NonSaturating()], ids=["minimax", "non_saturating"])
def test_the_optimal_cross_entropy_is_2_log_2_minus_2_js(loss):
    optimum = (P / Q).log().clamp(-800, 800)
    value = expected(loss, optimum).item()
    assert value == pytest.approx(2 * math.log(2) - 2 * js(P, Q), abs=1e-12)
    found, _ = minimum(loss, torch.zeros_like(P))
    assert found == pytest.approx(value, abs=1e-4)
    assert found >= value - 1e-12


def test_the_optimal_hinge_is_2_minus_2_tv():
    value = expected(Hinge(), torch.sign(P - Q)).item()
    total_variation = (P - Q).abs().sum().item() / 2
    assert value == pytest.approx(2 - 2 * total_variation, abs=1e-14)
    for seed in range(200):  # nothing random does better
        assert expected(Hinge(), 2 * normal(4, seed=seed)).item() >= value - 1e-12


def test_the_optimal_least_squares_logit_is_the_posterior():
    optimum = P / (P + Q)
    found, f = minimum(LeastSquares(), torch.zeros_like(P))
    torch.testing.assert_close(f, optimum, rtol=0, atol=1e-6)
    assert found == pytest.approx(expected(LeastSquares(), optimum).item(), abs=1e-12)


def test_the_js_estimate_is_log_2_minus_half_the_loss():
    real, fake = logits(100)
    for loss in (Minimax(), NonSaturating()):
        bound = math.log(2) - loss.discriminator(real, fake).mean().item() / 2
        assert loss.estimate(real, fake)["js"].item() == pytest.approx(bound, abs=1e-15)


def test_the_js_estimate_of_the_optimal_discriminator_is_js():
    # Samples in exact proportion to P and Q, so that the mean over them is the expectation.
    counts = (P * 20).round().long(), (Q * 20).round().long()
    support = (P / Q).log().clamp(-800, 800)
    real, fake = (support.repeat_interleave(count) for count in counts)
    estimate = NonSaturating().estimate(real, fake)["js"].item()
    assert estimate == pytest.approx(js(P, Q), abs=1e-12)


def test_the_wasserstein_estimate_is_the_critics_difference():
    real, fake = logits(50)
    estimate = Wasserstein().estimate(real, fake)["wasserstein"].item()
    assert estimate == pytest.approx((real.mean() - fake.mean()).item(), abs=1e-14)


@pytest.mark.parametrize("loss", [Hinge(), LeastSquares(), RelativisticPairing()], ids=str)
def test_a_loss_that_bounds_no_known_divergence_estimates_none(loss):
    assert loss.estimate(*logits(3)) == {}
