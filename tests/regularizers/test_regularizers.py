"""Theorems about every regularizer in conf/regularizer, and about each by name."""

import dataclasses
import math

import pytest
import torch
from torch import nn
from torch.func import vmap
from torch.utils._pytree import tree_map

from gan_lab.engine.gradients import Gradients
from gan_lab.engine.objective import Score
from gan_lab.engine.optimizers import RmsProp
from gan_lab.losses import Hinge, Wasserstein
from gan_lab.networks.dcgan import Dcgan
from gan_lab.networks.mlp import Mlp
from gan_lab.regularizers import (
    R1,
    R2,
    Dragan,
    GradientPenalty,
    InstanceNoise,
    Regularizer,
    SpectralNorm,
    WeightClipping,
    input_gradient,
)
from gan_lab.regularizers.base import norms
from tests.helpers import (
    Critic,
    draws_like,
    linear_critic,
    load_regularizers,
    names,
    normal,
    quadratic_critic,
    seeded,
    small_run,
    snapshot,
    take_steps,
)

SHAPES = [(2,), (1, 8, 8), (3, 8, 8), (5, 7, 7)]
EACH = [name for name in names("regularizer") if name != "none"]
WAYS = pytest.mark.parametrize("in_transform", [False, True], ids=["autograd", "torch.func"])


@pytest.fixture(params=EACH)
def regularizer(request):
    (only,) = load_regularizers(request.param).values()
    return only


def batch(n, shape, seed=0, dtype=torch.float64):
    real, fake = normal(n, *shape, seed=seed, dtype=dtype), normal(n, *shape, seed=seed + 1)
    mix = torch.rand(n, generator=seeded(seed + 2), dtype=torch.float64)
    return real, fake.to(dtype), mix.to(dtype)


def noise_of(regularizer, n, shape, dtype=torch.float64):
    spec = regularizer.noise_spec(shape)
    return {name: normal(n, *s, seed=9, dtype=dtype) for name, s in spec.items()}


def smooth_critic(shape=(3,), width=6, zero=False, in_transform=False, activation=nn.Tanh):
    """A small smooth critic in float64; `zero`: all weights and biases 0."""
    module = nn.Sequential(
        *(nn.Flatten(), nn.Linear(math.prod(shape), width), activation()),
        *(nn.Linear(width, width), activation(), nn.Linear(width, 1), nn.Flatten(0)),
    ).double()
    leaves = {
        name: (torch.zeros_like(p) if zero else normal(*p.shape, seed=i)).requires_grad_(True)
        for i, (name, p) in enumerate(module.named_parameters())
    }
    return Critic(module, leaves, in_transform)


# What every regularizer promises.


def test_there_are_at_least_the_regularizers_of_the_design():
    slopes, others = {"gradient_penalty", "r1", "r2", "dragan"}, {"spectral_norm", "instance_noise"}
    assert set(EACH) >= {*slopes, *others, "weight_clipping"}
    assert load_regularizers("none") == {}


def test_a_regularizer_is_a_frozen_dataclass_whose_fields_are_its_keys(regularizer):
    assert isinstance(regularizer, Regularizer)
    assert dataclasses.is_dataclass(regularizer)
    with pytest.raises(dataclasses.FrozenInstanceError):
        regularizer.anything = 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(2,), (3, 8, 8)], ids=str)
def test_a_penalty_is_per_sample_non_negative_and_keeps_the_dtype(regularizer, shape, dtype):
    real, fake, mix = batch(5, shape, dtype=dtype)
    noise = noise_of(regularizer, 5, shape, dtype)
    penalty = regularizer.penalty(quadratic_critic, real, fake, mix, noise)
    assert penalty.shape == (5,)
    assert penalty.dtype == dtype
    assert (penalty >= 0).all()


@WAYS
def test_a_penalty_and_its_gradients_are_finite_at_norm_0(regularizer, in_transform):
    critic = smooth_critic(zero=True, in_transform=in_transform)
    real, fake, mix = batch(4, (3,))
    noise = noise_of(regularizer, 4, (3,))
    penalty = regularizer.penalty(critic, real, fake, mix, noise)
    assert penalty.isfinite().all()
    if penalty.requires_grad:
        leaves = list(critic.leaves.values())
        gradients = torch.autograd.grad(penalty.sum(), leaves, allow_unused=True)
        assert all(g is None or g.isfinite().all() for g in gradients)


@WAYS
@pytest.mark.parametrize("activation", [nn.Tanh, nn.Softplus])
def test_double_backward_of_a_penalty_equals_finite_differences(
    regularizer, in_transform, activation
):
    critic = smooth_critic(width=3, in_transform=in_transform, activation=activation)
    real, fake, mix = batch(3, (3,))
    noise = noise_of(regularizer, 3, (3,))

    def penalty(*leaves):
        filled = Critic(critic.module, dict(zip(critic.leaves, leaves, strict=True)), in_transform)
        value = regularizer.penalty(filled, real, fake, mix, noise)
        # Connected to the leaves also where there is no penalty; a smooth function of the rest.
        return value.sum() + 0 * sum(leaf.sum() for leaf in leaves)

    assert torch.autograd.gradcheck(penalty, tuple(critic.leaves.values()), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("part", [slice(0, 3), slice(3, 6)], ids=["first", "second"])
def test_needs_whole_batch_says_whether_a_slice_is_regularized_like_the_whole(regularizer, part):
    real, fake, mix = batch(6, (3,))
    noise = noise_of(regularizer, 6, (3,))
    few = {name: each[part] for name, each in noise.items()}
    whole = regularizer.penalty(smooth_critic(), real, fake, mix, noise)[part]
    alone = regularizer.penalty(smooth_critic(), real[part], fake[part], mix[part], few)
    inputs = regularizer.inputs(real, fake, noise)
    of_slice = regularizer.inputs(real[part], fake[part], few)
    pairs = [(whole, alone), *zip((each[part] for each in inputs), of_slice, strict=True)]
    alike = all(torch.allclose(one, other, rtol=1e-12, atol=1e-12) for one, other in pairs)
    assert alike != regularizer.needs_whole_batch


def is_constrained(regularizer):
    """Whether a critic with weights 100 times as large is bounded by the hooks, or pays."""
    module = Mlp(2, 16, 2).discriminator((3,)).double()
    Mlp(2, 16, 2).initialise_(module, seeded(1))
    with torch.no_grad():
        for leaf in module.parameters():
            leaf.mul_(100)
    regularizer.prepare(module)
    params, buffers = snapshot(dict(module.named_parameters())), dict(module.named_buffers())
    for _ in range(100):
        params, buffers = regularizer.after_step(params, buffers)
    leaves = {**regularizer.reparametrize(params, buffers), **buffers}
    score = Critic(module, leaves)
    real, fake, mix = batch(5, (3,))
    norm = norms(input_gradient(score, real)).max().item()
    price = regularizer.penalty(score, real, fake, mix, noise_of(regularizer, 5, (3,))).mean()
    return norm < 1 + 1e-3 or price.item() > 0.1 * norm


def test_what_declares_to_constrain_the_lipschitz_constant_does(regularizer):
    assert is_constrained(regularizer) or not regularizer.constrains_lipschitz


def test_instance_noise_does_not_constrain_the_lipschitz_constant():
    assert not is_constrained(InstanceNoise())
    assert not InstanceNoise.constrains_lipschitz


def test_normalizes_layers_says_whether_each_weight_in_use_has_norm_1(regularizer):
    _, params, _ = prepared(Mlp(2, 16, 3), (2,))
    module = Mlp(2, 16, 3).discriminator((2,)).double()
    module.load_state_dict(params)
    regularizer.prepare(module)
    params, buffers = dict(module.named_parameters()), dict(module.named_buffers())
    for _ in range(300):
        params, buffers = regularizer.after_step(params, buffers)
    used = regularizer.reparametrize(params, buffers)
    sizes = [largest(weight).item() for weight in used.values() if weight.ndim == 2]
    assert all(abs(size - 1) < 1e-3 for size in sizes) == regularizer.normalizes_layers


def test_hooks_are_pure(regularizer):
    module = Mlp(2, 4, 2).discriminator((3,))
    regularizer.prepare(module)
    params, buffers = snapshot(dict(module.named_parameters())), dict(module.named_buffers())
    before = snapshot(params), snapshot(buffers)
    real, fake, mix = batch(4, (3,), dtype=torch.float32)
    noise = noise_of(regularizer, 4, (3,), torch.float32)
    inputs = real.clone(), fake.clone(), mix.clone(), snapshot(noise)
    regularizer.reparametrize(params, buffers)
    regularizer.inputs(real, fake, noise)
    regularizer.penalty(quadratic_critic, real, fake, mix, noise)
    regularizer.after_step(params, buffers)
    regularizer.measure(params)
    after = snapshot(params), snapshot(buffers)
    torch.testing.assert_close(after, before, rtol=0, atol=0)
    torch.testing.assert_close((real, fake, mix, noise), inputs, rtol=0, atol=0)


def test_noise_that_is_asked_for_has_the_shape_of_a_sample(regularizer):
    for shape in SHAPES:
        assert all(tuple(s) == shape for s in regularizer.noise_spec(shape).values())


def test_a_penalty_sends_no_gradient_to_the_samples(regularizer):
    critic = smooth_critic()
    real, fake, mix = (x.requires_grad_(True) for x in batch(4, (3,)))
    penalty = regularizer.penalty(critic, real, fake, mix, noise_of(regularizer, 4, (3,)))
    if penalty.requires_grad:
        gradients = torch.autograd.grad(penalty.sum(), (real, fake, mix), allow_unused=True)
        assert gradients == (None, None, None)


# Slope penalties.


@pytest.mark.parametrize("n", [1, 2, 64])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(("slope", "cost"), [(1.0, 0.0), (2.0, 3.0)])
def test_penalty_of_slope_1_is_0_and_of_2_the_weight_whatever_the_batch_size(n, shape, slope, cost):
    # A norm over the whole batch would give weight (2 sqrt(N) - 1)^2.
    penalty = GradientPenalty(weight=3.0).penalty(linear_critic(shape, slope), *batch(n, shape))
    expected = torch.full((n,), cost, dtype=torch.float64)
    torch.testing.assert_close(penalty, expected, rtol=1e-12, atol=0 if cost else 3e-25)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_each_sample_has_its_own_interpolate(shape):
    # The gradient of |x|^2 / 2 is x: the penalty tells at which point it was taken.
    real, fake, mix = batch(7, shape)
    triples = zip(mix, real, fake, strict=True)
    points = torch.stack([m * r + (1 - m) * f for m, r, f in triples]).flatten(1)
    expected = 10 * (points.square().sum(1).sqrt() - 1).square()
    penalty = GradientPenalty(weight=10.0).penalty(quadratic_critic, real, fake, mix)
    torch.testing.assert_close(penalty, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("end", "which"), [(1.0, 0), (0.0, 1)])
def test_mix_1_is_real_and_mix_0_is_fake(end, which):
    samples = batch(6, (4,))
    mix = torch.full((6,), end, dtype=torch.float64)
    penalty = GradientPenalty(1.0, target=0.0).penalty(quadratic_critic, *samples[:2], mix)
    torch.testing.assert_close(penalty, samples[which].square().sum(1), rtol=1e-12, atol=0)


@pytest.mark.parametrize(
    ("norm", "expected"), [(0.0, 0.0), (0.5, 0.0), (1.0, 0.0), (1.5, 0.25), (3.0, 4.0)]
)
def test_one_sided_penalises_norms_above_the_target_only(norm, expected):
    regularizer = GradientPenalty(1.0, one_sided=True)
    penalty = regularizer.penalty(linear_critic((4,), norm), *batch(3, (4,)))
    expected = torch.full((3,), expected, dtype=torch.float64)
    torch.testing.assert_close(penalty, expected, rtol=1e-12, atol=1e-24)


@pytest.mark.parametrize("target", [0.0, 0.5, 2.0])
def test_the_target_is_the_slope_without_penalty(target):
    regularizer = GradientPenalty(2.0, target=target)
    at = regularizer.penalty(linear_critic((4,), target), *batch(3, (4,)))
    torch.testing.assert_close(at, torch.zeros_like(at), rtol=0, atol=1e-24)
    above = regularizer.penalty(linear_critic((4,), target + 1), *batch(3, (4,)))
    torch.testing.assert_close(above, torch.full_like(above, 2.0), rtol=1e-12, atol=0)


@pytest.mark.parametrize("regularizer", [GradientPenalty(10.0), Dragan(10.0)], ids=str)
def test_a_constant_critic_pays_the_whole_weight(regularizer):
    real, fake, mix = batch(4, (3,))
    noise = noise_of(regularizer, 4, (3,))
    penalty = regularizer.penalty(smooth_critic(zero=True), real, fake, mix, noise)
    torch.testing.assert_close(penalty, torch.full_like(penalty, 10.0), rtol=0, atol=1e-12)


@pytest.mark.parametrize("n", [1, 2, 64])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(("make", "which"), [(R1, 0), (R2, 1)])
def test_r1_and_r2_are_half_the_weight_times_the_squared_slope_at_their_samples(
    n, shape, make, which
):
    samples = batch(n, shape)
    penalty = make(weight=3.0).penalty(quadratic_critic, *samples)
    expected = 1.5 * samples[which].flatten(1).square().sum(1)
    torch.testing.assert_close(penalty, expected, rtol=1e-12, atol=0)


def test_dragan_penalises_the_slope_around_real_samples_at_the_noise_it_was_given():
    real, fake, mix = batch(8, (2, 3, 3))
    noise = normal(8, 2, 3, 3, seed=5)
    regularizer, drawn = Dragan(weight=4.0, scale=0.5), {"dragan": noise}
    penalty = regularizer.penalty(quadratic_critic, real, fake, mix, drawn)
    std = math.sqrt((real - real.mean()).square().sum().item() / (real.numel() - 1))
    points = (real + 0.5 * std * noise).flatten(1)
    expected = 4 * (points.norm(dim=1) - 1).square()
    torch.testing.assert_close(penalty, expected, rtol=1e-12, atol=1e-12)
    # It does not look at the fakes or the mix.
    other = regularizer.penalty(quadratic_critic, real, -fake, 1 - mix, drawn)
    assert torch.equal(penalty, other)


def test_what_differentiates_single_samples_says_so_and_the_others_allow_batch_norm():
    assert all(make.needs_independent_samples for make in (GradientPenalty, R1, R2, Dragan))
    others = (WeightClipping, SpectralNorm, InstanceNoise)
    assert not any(make.needs_independent_samples for make in others)


# The one helper.


@pytest.mark.parametrize("shape", [(3,), (2, 2, 2)], ids=str)
def test_both_ways_of_taking_the_input_gradient_agree(shape):
    plain, func = (smooth_critic(shape, in_transform=way) for way in (False, True))
    x = normal(5, *shape, seed=4)
    both = (input_gradient(critic, x) for critic in (plain, func))
    torch.testing.assert_close(*both, rtol=1e-12, atol=1e-12)


def test_the_input_gradient_of_stacked_critics_is_each_critics_own():
    critics = [
        Critic(c.module, {n: leaf.detach() + k for n, leaf in c.leaves.items()})
        for k, c in enumerate([smooth_critic() for _ in range(3)])
    ]
    x = normal(3, 5, 3, seed=4)
    stacked = {n: torch.stack([c.leaves[n] for c in critics]) for n in critics[0].leaves}
    module = critics[0].module
    together = vmap(lambda leaves, x: input_gradient(Score(module, leaves, True), x))(stacked, x)
    alone = torch.stack([input_gradient(c, points) for c, points in zip(critics, x, strict=True)])
    torch.testing.assert_close(together, alone.detach(), rtol=1e-12, atol=1e-12)


@WAYS
def test_the_gradient_of_a_norm_of_0_is_0_and_not_nan(in_transform):
    x = torch.zeros(3, 4, dtype=torch.float64, requires_grad=True)
    if in_transform:
        gradient = torch.func.grad(lambda v: norms(v).sum())(x.detach())
    else:
        (gradient,) = torch.autograd.grad(norms(x).sum(), x)
    assert torch.equal(gradient, torch.zeros_like(gradient))


# Clipping.


def test_clipping_puts_every_leaf_into_the_box_and_moves_nothing_inside_it():
    leaves = {"weight": torch.tensor([[-1.0, -0.01, 0.003], [0.0, 0.0101, 7.0]])}
    (clipped, buffers) = WeightClipping(0.01).after_step(leaves, {"kept": torch.ones(1)})
    expected = torch.tensor([[-0.01, -0.01, 0.003], [0.0, 0.01, 0.01]])
    assert torch.equal(clipped["weight"], expected)
    assert torch.equal(buffers["kept"], torch.ones(1))


def test_the_clipped_share_counts_the_weights_on_the_bound():
    regularizer = WeightClipping(0.01)
    leaves = {"a": torch.tensor([-1.0, 0.0, 0.5, 0.009]), "b": torch.tensor([[0.005, -0.01]])}
    clipped, _ = regularizer.after_step(leaves, {})
    share = regularizer.measure(clipped)["weights/clipped_share"]
    assert share.item() == pytest.approx(3 / 6, abs=1e-7)
    inside = {"a": torch.full((5,), 0.0099)}
    assert regularizer.measure(inside)["weights/clipped_share"].item() == 0


def in_the_box(leaves):
    limit = torch.tensor(0.01, dtype=torch.float32)
    return all((leaf.detach().abs() <= limit).all() for leaf in leaves.values())


class _InTheBox(Gradients):
    """Looks at the critic whenever a network asks for a gradient."""

    def generator(self, state, *args):
        assert in_the_box(state.discriminator.params)
        return super().generator(state, *args)


@pytest.mark.parametrize("seeds", [(0,), (0, 1, 2)], ids=["solo", "stacked"])
def test_weights_are_in_the_box_after_every_update(seeds):
    # The learning rate throws every weight out of the box at every update; the generator must
    # never meet a critic outside it, so the order is step, then clip.
    regularizer = WeightClipping(0.01)
    choice = {"optim": RmsProp(0.05), "seeds": seeds, "n_critic": 3, "steps": 4}
    run = small_run(Wasserstein(), {"c": regularizer}, **choice)
    watched = _InTheBox(run.objective, run.gradients.stacked)
    for _ in range(4):
        take_steps(run, 1, gradients=watched)
        assert in_the_box(run.state.discriminator.params)
        share = regularizer.measure(run.state.discriminator.params)["weights/clipped_share"]
        assert 0.2 < share.item() <= 1.0
    assert not in_the_box(run.state.generator.params)


# Spectral norm.


def prepared(pair, shape, dtype=torch.float64, rounds=0):
    module = pair.discriminator(shape)
    pair.initialise_(module, seeded(1))
    module = module.to(dtype)
    SpectralNorm().prepare(module)
    params, buffers = snapshot(dict(module.named_parameters())), dict(module.named_buffers())
    for _ in range(rounds):
        _, buffers = SpectralNorm().after_step(params, buffers)
    return module, params, buffers


LOOSE = {"rtol": 1e-3, "atol": 1e-12}


def largest(weight):
    return torch.linalg.svdvals(weight.detach().flatten(1))[..., 0]


@pytest.mark.parametrize(
    ("pair", "shape"),
    [(Mlp(2, 16, 3), (2,)), (Mlp(2, 16, 2), (1, 8, 8)), (Dcgan(2, 4), (3, 16, 16))],
    ids=["points", "flat images", "dcgan"],
)
def test_each_used_weight_has_largest_singular_value_1(pair, shape):
    _, params, buffers = prepared(pair, shape, rounds=300)
    used = SpectralNorm().reparametrize(params, buffers)
    weights = [n for n, p in params.items() if p.ndim >= 2]
    assert len(weights) >= 3
    for name in params:
        if name in weights:
            assert largest(used[name]).item() == pytest.approx(1.0, abs=1e-3)
            torch.testing.assert_close(used[name] * largest(params[name]), params[name], **LOOSE)
        else:  # biases and norms are as they were
            assert used[name] is params[name]


def test_fifteen_rounds_at_the_start_are_within_a_few_per_cent():
    _, params, buffers = prepared(Mlp(2, 64, 3), (2,))
    used = SpectralNorm().reparametrize(params, buffers)
    for weight in used.values():
        if weight.ndim == 2:
            # u'Wv never exceeds the largest singular value, so the used weight errs upwards.
            assert 1 - 1e-9 <= largest(weight).item() <= 1.06


def test_power_iteration_follows_the_weights_through_training():
    run = small_run(Hinge(), {"s": SpectralNorm()}, n_critic=2, steps=100)
    take_steps(run, 60)
    d = run.state.discriminator
    used = SpectralNorm().reparametrize(d.params, d.buffers)
    for name, weight in used.items():
        if weight.ndim == 2:
            assert largest(weight).item() == pytest.approx(1.0, abs=0.02)
            assert abs(largest(d.params[name]).item() - 1) > 0.02  # the leaf itself is free


def test_the_gradient_flows_through_the_singular_value():
    _, params, buffers = prepared(Mlp(2, 6, 1), (4,), rounds=3000)
    name = "1.weight"
    direction = normal(*params[name].shape, seed=8)
    weight = params[name].requires_grad_(True)
    used = SpectralNorm().reparametrize(params, buffers)[name]
    (ours,) = torch.autograd.grad((used * direction).sum(), weight)
    exact = weight / torch.linalg.matrix_norm(weight, 2)
    (expected,) = torch.autograd.grad((exact * direction).sum(), weight)
    torch.testing.assert_close(ours, expected, rtol=1e-6, atol=1e-8)
    # Scale invariance: the gradient has no component along the weight.
    assert (ours * weight).sum().item() == pytest.approx(0, abs=1e-10)


def test_spectral_norm_of_stacked_leaves_is_each_ones_own():
    each = []
    for seed in range(3):
        module = Mlp(2, 5, 2).discriminator((3,)).double()
        Mlp(2, 5, 2).initialise_(module, seeded(seed))
        SpectralNorm().prepare(module)
        each.append((snapshot(dict(module.named_parameters())), dict(module.named_buffers())))

    def stack(part):
        return {n: torch.stack([e[part][n] for e in each]) for n in each[0][part]}

    regularizer = SpectralNorm()
    for hook in (regularizer.reparametrize, regularizer.after_step):
        together = vmap(hook)(stack(0), stack(1))
        for k, (params, buffers) in enumerate(each):
            ours = tree_map(lambda leaf, k=k: leaf[k], together)
            torch.testing.assert_close(ours, hook(params, buffers), rtol=1e-12, atol=1e-14)


def test_a_spectrally_normalised_mlp_is_1_lipschitz():
    module, params, buffers = prepared(Mlp(2, 16, 3), (2,), rounds=300)
    score = Score(module, {**SpectralNorm().reparametrize(params, buffers), **buffers})
    norm = norms(input_gradient(score, 3 * normal(200, 2)))
    assert norm.max().item() <= 1 + 1e-6
    free = norms(input_gradient(Score(module, {**params, **buffers}), 3 * normal(200, 2)))
    assert not torch.allclose(free, norm)


# Instance noise.


def test_instance_noise_adds_its_std_times_the_noise_to_both():
    regularizer = InstanceNoise(std=0.3)
    shapes = dict.fromkeys(("instance_real", "instance_fake"), (1, 8, 8))
    assert regularizer.noise_spec((1, 8, 8)) == shapes
    real, fake, _ = batch(5, (2,))
    noise = noise_of(regularizer, 5, (2,))
    noise["instance_fake"] = normal(5, 2, seed=10)
    shown_real, shown_fake = regularizer.inputs(real, fake, noise)
    torch.testing.assert_close(shown_real - real, 0.3 * noise["instance_real"])
    torch.testing.assert_close(shown_fake - fake, 0.3 * noise["instance_fake"])
    assert torch.equal(InstanceNoise(0.0).inputs(real, fake, noise)[0], real)


def test_a_runs_noise_is_what_its_regularizers_asked_for():
    run = small_run(regularizers={"d": Dragan(), "i": InstanceNoise()}, n_critic=2)
    draws = draws_like(run)
    for part, updates in ((draws.discriminator, 2), (draws.generator, 1)):
        assert set(part.noise) == {"dragan", "instance_real", "instance_fake"}
        assert all(tensor.shape == (updates, 8, 2) for tensor in part.noise.values())


# What is refused.


@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf, "1", True, None])
@pytest.mark.parametrize(
    ("make", "key"),
    [
        *((make, "weight") for make in (GradientPenalty, R1, R2, Dragan)),
        *((GradientPenalty, "target"), (Dragan, "scale")),
        *((InstanceNoise, "std"), (WeightClipping, "bound")),
    ],
)
def test_a_value_that_is_no_number_of_at_least_0_is_refused_by_name(make, key, value):
    with pytest.raises(ValueError, match=rf"{make.__name__}\.{key}="):
        make(**{key: value})


def test_a_bound_of_0_leaves_no_critic_and_is_refused():
    with pytest.raises(ValueError, match="bound > 0"):
        WeightClipping(0)


def test_a_module_calls_the_critic_once_a_penalty():
    calls = []

    def counted(x):
        calls.append(len(x))
        return quadratic_critic(x)

    GradientPenalty().penalty(counted, *batch(5, (2,)))
    assert calls == [5]
