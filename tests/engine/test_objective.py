"""The objective is pure: equal for joined batches, stacked seeds and stored states."""

import pytest
import torch
from torch import nn

from gan_lab.losses import NonSaturating, RelativisticPairing, Wasserstein
from gan_lab.networks.mlp import Mlp
from gan_lab.regularizers import GradientPenalty, InstanceNoise, SpectralNorm
from tests.helpers import (
    assert_same,
    draws_like,
    load_loss,
    load_regularizers,
    names,
    normal,
    small_run,
    snapshot,
)

BATCH_NORM = Mlp(2, 8, 2, generator_norm="batch", discriminator_norm="batch")
CLOSE = {"rtol": 1e-11, "atol": 1e-12}


def parts(run):
    d, g = run.state.discriminator, run.state.generator
    return (d.params, d.buffers), (g.params, g.buffers)


def first(part):
    """One update's draws."""
    return part.real[0], part.z[0], part.mix[0], {n: t[0] for n, t in part.noise.items()}


def apart(objective):
    """The same objective with a forward pass each for real and fake."""
    objective.__dict__["independent"] = False
    return objective


def losses_of(run, objective):
    (d, d_buffers), (g, g_buffers) = parts(run)
    draws = draws_like(run)
    real, z, mix, noise = first(draws.discriminator)
    fake = objective.fakes(g, g_buffers, z).detach()
    discriminator = objective.discriminator_loss(d, d_buffers, real, fake, mix, noise)
    real, z, _, noise = first(draws.generator)
    return discriminator, objective.generator_loss(g, g_buffers, d, d_buffers, real, z, noise)


@pytest.mark.parametrize("loss", names("loss"))
@pytest.mark.parametrize("norm", ["none", "layer"])
def test_one_forward_for_real_and_fake_equals_two(loss, norm):
    run = small_run(load_loss(loss), network=Mlp(2, 8, 2, discriminator_norm=norm), float64=True)
    assert run.objective.independent
    joined = losses_of(run, run.objective)
    separate = losses_of(run, apart(run.objective))
    for ours, theirs in zip(joined, separate, strict=True):
        torch.testing.assert_close(ours, theirs, **CLOSE)


def test_with_batch_norm_one_forward_differs_from_two_so_it_is_not_shared():
    run = small_run(network=BATCH_NORM, float64=True)
    assert not run.objective.independent
    separate = losses_of(run, run.objective)[0][0]
    run.objective.__dict__["independent"] = True
    joined = losses_of(run, run.objective)[0][0]
    assert abs((joined - separate).item()) > 1e-3


@pytest.mark.parametrize("seeds", [(0,), (0, 1, 2)], ids=["solo", "stacked"])
def test_fakes_of_several_updates_in_one_forward_equal_separate_ones(seeds):
    run = small_run(network=Mlp(2, 8, 2, generator_norm="layer"), seeds=seeds, float64=True)
    assert run.objective.generator_independent
    z = normal(5, *([len(seeds)] if len(seeds) > 1 else []), 7, 2)
    joined = run.gradients.fakes(run.state, z)
    run.gradients.objective.__dict__["generator_independent"] = False
    separate = run.gradients.fakes(run.state, z)
    assert joined.shape == (*z.shape[:-1], 2)
    torch.testing.assert_close(joined, separate, **CLOSE)


@pytest.mark.parametrize("seeds", [(0,), (0, 1, 2)], ids=["solo", "stacked"])
def test_a_batch_norm_generator_makes_each_updates_fakes_by_themselves(seeds):
    run = small_run(network=BATCH_NORM, seeds=seeds, float64=True)
    assert not run.objective.generator_independent
    z = normal(5, *([len(seeds)] if len(seeds) > 1 else []), 7, 2)
    separate = run.gradients.fakes(run.state, z)
    one = torch.cat([run.gradients.fakes(run.state, batch[None]) for batch in z])
    torch.testing.assert_close(separate, one, rtol=0, atol=0)
    run.gradients.objective.__dict__["generator_independent"] = True
    joined = run.gradients.fakes(run.state, z)
    assert (joined - separate).abs().max().item() > 1e-3


def test_fakes_have_no_graph_and_samples_use_running_statistics():
    run = small_run(network=BATCH_NORM, float64=True)
    _, (g, buffers) = parts(run)
    before = snapshot(buffers)
    z = normal(2, 6, 2)
    assert not run.gradients.fakes(run.state, z).requires_grad
    assert_same(buffers, before)
    # With running statistics every z is mapped by itself.
    whole = run.objective.samples(g, buffers, z[0])
    torch.testing.assert_close(whole[:3], run.objective.samples(g, buffers, z[0, :3]), **CLOSE)
    assert not torch.allclose(run.objective.fakes(g, buffers, z[0]), whole)
    assert_same(buffers, before)


@pytest.mark.parametrize("network", [BATCH_NORM, Mlp(2, 8, 2)], ids=["batch norm", "no norm"])
def test_losses_mutate_nothing_and_return_new_buffers(network):
    regularizers = {"i": InstanceNoise(), "s": SpectralNorm()}
    run = small_run(regularizers=regularizers, network=network)
    before = [snapshot(leaves) for part in parts(run) for leaves in part]
    (_, _, d_buffers), (_, _, g_buffers) = losses_of(run, run.objective)
    after = [leaves for part in parts(run) for leaves in part]
    for ours, theirs in zip(after, before, strict=True):
        assert_same(ours, theirs)
    moved = {"running_mean", "running_var", "num_batches_tracked"}
    for new, old in ((d_buffers, before[1]), (g_buffers, before[3])):
        assert new.keys() == old.keys()
        for name in new:
            assert torch.equal(new[name], old[name]) == (name.split(".")[-1] not in moved)


def test_loss_plus_penalty_is_what_is_minimised_and_both_are_logged():
    run = small_run(Wasserstein(), {"gp": GradientPenalty(10.0)}, float64=True)
    (total, values, _), (generator, logged, _) = losses_of(run, run.objective)
    parts_sum = values["loss/discriminator"] + values["loss/penalty"]
    torch.testing.assert_close(total.detach(), parts_sum, **CLOSE)
    assert values["loss/penalty"] > 0
    estimate = values["discriminator_estimate/wasserstein"]
    torch.testing.assert_close(estimate, -values["loss/discriminator"], **CLOSE)
    torch.testing.assert_close(generator.detach(), logged["loss/generator"], **CLOSE)
    assert not any(v.requires_grad for v in (*values.values(), *logged.values()))


def test_the_generators_loss_is_that_of_its_own_fakes():
    run = small_run(Wasserstein(), float64=True)
    (d, d_buffers), (g, g_buffers) = parts(run)
    _, z, _, _ = first(draws_like(run).generator)
    logits = run.objective.score(d, d_buffers)(run.objective.fakes(g, g_buffers, z))
    torch.testing.assert_close(losses_of(run, run.objective)[1][0], -logits.mean(), **CLOSE)


def test_a_loss_that_compares_real_gets_the_real_logits_in_the_generators_step():
    run = small_run(RelativisticPairing(), float64=True)
    (d, d_buffers), (g, g_buffers) = parts(run)
    real, z, _, _ = first(draws_like(run).generator)
    score = run.objective.score(d, d_buffers)
    fake = run.objective.fakes(g, g_buffers, z)
    expected = RelativisticPairing().generator(score(real), score(fake))
    torch.testing.assert_close(losses_of(run, run.objective)[1][0], expected.mean(), **CLOSE)


@pytest.mark.parametrize("name", [n for n in names("regularizer") if n != "none"])
def test_each_regularizer_is_applied(name):
    regularizers = load_regularizers(name)
    with_it, without = small_run(regularizers=regularizers), small_run()
    (loss, _, _), _ = losses_of(with_it, with_it.objective)
    (plain, _, _), _ = losses_of(without, without.objective)
    if name == "weight_clipping":  # acts on the leaves after the step only
        assert torch.equal(loss, plain)
    else:
        assert abs((loss - plain).item()) > 1e-6


def test_instance_noise_is_on_what_the_discriminator_sees_in_both_networks_updates():
    run = small_run(Wasserstein(), {"i": InstanceNoise(0.7)}, float64=True)
    (d, d_buffers), (g, g_buffers) = parts(run)
    score, draws = run.objective.score(d, d_buffers), draws_like(run)
    shown = []
    for real, z, _, noise in (first(part) for part in draws):
        fake = run.objective.fakes(g, g_buffers, z)
        on_real = score(real + 0.7 * noise["instance_real"]).mean()
        on_fake = score(fake + 0.7 * noise["instance_fake"]).mean()
        shown.append((on_real, on_fake))
    (discriminator, _, _), (generator, _, _) = losses_of(run, run.objective)
    torch.testing.assert_close(discriminator, shown[0][1] - shown[0][0], **CLOSE)
    torch.testing.assert_close(generator, -shown[1][1], **CLOSE)


def test_several_penalties_add_up():
    def penalty(*files):
        run = small_run(NonSaturating(), load_regularizers(*files), float64=True)
        return losses_of(run, run.objective)[0][1]["loss/penalty"]

    apart = penalty("gradient_penalty") + penalty("r1") + penalty("r2")
    torch.testing.assert_close(penalty("gradient_penalty", "r1", "r2"), apart, **CLOSE)


def test_slopes_are_the_norms_of_the_input_gradient_on_real_fake_and_between():
    run = small_run(float64=True)
    linear = nn.Sequential(nn.Linear(2, 1), nn.Flatten(0)).double()
    objective = type(run.objective)(run.objective.generator, linear, run.objective.loss)
    leaves = {"0.weight": torch.tensor([[3.0, 4.0]]).double(), "0.bias": torch.zeros(1).double()}
    real, fake = normal(5, 2, seed=1), normal(5, 2, seed=2)
    values = objective.gradient_norms(leaves, {}, real, fake, torch.rand(5).double())
    assert values["discriminator_estimate/gradient_norm_mean"].item() == pytest.approx(5, abs=1e-12)
    assert values["discriminator_estimate/gradient_norm_max"].item() == pytest.approx(5, abs=1e-12)
