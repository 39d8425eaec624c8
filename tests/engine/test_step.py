"""One step: against a textbook loop, solo against stacked, and every update counted."""

import copy
import math

import pytest
import torch
from torch import nn

from gan_lab.data.digits import Digits
from gan_lab.engine.gradients import Gradients
from gan_lab.engine.optimizers import Adam, RmsProp, Sgd
from gan_lab.engine.state import NetworkState
from gan_lab.losses import Hinge, Minimax, NonSaturating, RelativisticPairing, Wasserstein
from gan_lab.networks.conv import Conv
from gan_lab.networks.dcgan import Dcgan
from gan_lab.networks.mlp import Mlp
from gan_lab.regularizers import GradientPenalty, InstanceNoise
from tests.helpers import (
    assert_same,
    draws_like,
    load_loss,
    load_regularizers,
    n_updates,
    names,
    normal,
    small_run,
    snapshot,
    take_steps,
)

EXACT = {"rtol": 1e-9, "atol": 1e-10, "float64": True}
EACH = [name for name in names("regularizer") if name != "none"]
# Not 5: clipping leaves its critic gradients of 2e-17, whose direction is rounding.
SEEDS = (0, 1, 4)
BATCH_NORM = Mlp(2, 8, 2, generator_norm="batch", discriminator_norm="batch")


# Stacked == solo.


def everything(run):
    """All that a run has, by name: leaves, buffers, the average, the optimisers' moments."""
    found = {f"average/{n}": leaf for n, leaf in run.state.average.items()}
    for role in ("discriminator", "generator"):
        network = getattr(run.state, role)
        for name, leaf in {**network.params, **network.buffers}.items():
            found[f"{role}/{name}"] = leaf.detach()
        for key, value in network.state_dict()["optimizer"].items():
            if key != "step":
                found[f"{role}/{key}"] = value
    return found


def check_stacked_is_solo(rtol, atol, n_steps=3, **choice):
    together = small_run(seeds=SEEDS, **choice)
    values, finite = take_steps(together, n_steps)
    stacked = everything(together)
    assert finite.shape == (len(SEEDS),)
    for k, seed in enumerate(SEEDS):
        alone = small_run(seeds=(seed,), **choice)
        solo_values, solo_finite = take_steps(alone, n_steps)
        assert bool(finite[k]) == bool(solo_finite) is True
        assert values.keys() == solo_values.keys()
        for name, value in solo_values.items():
            torch.testing.assert_close(values[name][[k]], value, rtol=rtol, atol=atol, msg=name)
        solo = everything(alone)
        assert stacked.keys() == solo.keys()
        for name, leaf in solo.items():
            torch.testing.assert_close(stacked[name][k], leaf, rtol=rtol, atol=atol, msg=name)
    return stacked


@pytest.mark.parametrize("loss", names("loss"))
@pytest.mark.parametrize("files", [[], *([name] for name in EACH), EACH], ids="+".join)
def test_stacked_seeds_equal_solo_seeds(loss, files):
    choice = {"loss": load_loss(loss), "regularizers": load_regularizers(*files)}
    check_stacked_is_solo(n_critic=2, **choice, **EXACT)


@pytest.mark.parametrize("loss", names("loss"))
def test_stacked_seeds_equal_solo_seeds_in_float32(loss):
    # SGD: Adam divides by the gradient's size and so blows up rounding where it is nearly 0.
    check_stacked_is_solo(1e-4, 1e-6, loss=load_loss(loss), optim=Sgd(1e-2), n_critic=2)


@pytest.mark.parametrize(
    ("loss", "files", "network"),
    [
        (Wasserstein(), ["gradient_penalty"], Dcgan(3, 4)),
        (Wasserstein(), ["gradient_penalty"], Dcgan(3, 4, "batch", "instance")),
        (NonSaturating(), [], Dcgan(3, 4, "batch", "batch")),
        (Minimax(), ["spectral_norm"], Dcgan(3, 4, "layer", "none")),
        (NonSaturating(), ["instance_noise"], Mlp(3, 8, 2, "silu", "batch", "batch")),
        (Wasserstein(), ["gradient_penalty"], Conv(3, 4)),
        (NonSaturating(), ["r1"], Conv(3, 4, discriminator_norm="layer")),
        (Hinge(), ["spectral_norm"], Conv(3, 4, "none", "batch", packing=2)),
        (RelativisticPairing(), ["r1", "r2"], Conv(3, 4, "layer")),
    ],
    ids=[
        *("wgan-gp", "wgan-gp instance", "dcgan 2016", "spectral", "mlp"),
        *("conv wgan-gp", "conv r1", "conv packed", "conv relativistic"),
    ],
)
def test_stacked_image_games_equal_solo_ones_with_their_running_statistics(loss, files, network):
    choice = {"loss": loss, "regularizers": load_regularizers(*files)}
    stacked = check_stacked_is_solo(data=Digits(), network=network, n_critic=2, **choice, **EXACT)
    if network.generator_norm == "batch":
        counters = [t for n, t in stacked.items() if n.endswith("num_batches_tracked")]
        assert counters
        assert any(n.startswith("generator/") and "running_mean" in n for n in stacked)


@pytest.mark.parametrize(
    "optim", [Adam(1e-2), RmsProp(1e-2, momentum=0.3), Sgd(1e-2, momentum=0.5)]
)
def test_stacked_equals_solo_under_every_optimiser(optim):
    check_stacked_is_solo(optim=optim, n_steps=4, **EXACT)


def test_seeds_that_are_stacked_do_not_share_their_noise():
    run = small_run(regularizers=load_regularizers("instance_noise", "dragan"), seeds=SEEDS)
    draws = draws_like(run)
    for part in draws:
        for tensor in (part.real, part.z, part.mix, *part.noise.values()):
            for a, b in ((0, 1), (0, 2), (1, 2)):
                assert not torch.equal(tensor[:, a], tensor[:, b])


# Against a textbook loop, written with modules.


def textbook_networks(run):
    """Plain modules with the run's leaves: an MLP of two hidden layers each."""

    def mlp(n_in, n_out):
        return nn.Sequential(
            nn.Linear(n_in, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, n_out)
        ).double()

    generator, discriminator = mlp(2, 2), mlp(2, 1)
    states = (run.state.generator, run.state.discriminator)
    for module, network in zip((generator, discriminator), states, strict=True):
        with torch.no_grad():
            for ours, theirs in zip(module.parameters(), network.params.values(), strict=True):
                assert ours.shape == theirs.shape
                ours.copy_(theirs)
    return generator, discriminator


def textbook_penalty(critic, real, fake, mix):
    mix = mix.view(-1, 1)
    points = (mix * real + (1 - mix) * fake).requires_grad_(True)
    scores = critic(points)
    (gradient,) = torch.autograd.grad(scores.sum(), points, create_graph=True)
    return 10 * ((gradient.norm(2, dim=1) - 1) ** 2).mean()


def textbook_step(kind, networks, optimizers, draws):
    """Algorithm 1 of Gulrajani et al. 2017, and of Goodfellow et al. 2014 with -log D."""
    generator, critic = networks
    g_optimizer, d_optimizer = optimizers
    binary = nn.functional.binary_cross_entropy_with_logits
    for real, z, mix in zip(*draws.discriminator[:3], strict=True):
        fake = generator(z).detach()
        on_real, on_fake = critic(real)[:, 0], critic(fake)[:, 0]
        if kind == "wgan_gp":
            loss = on_fake.mean() - on_real.mean() + textbook_penalty(critic, real, fake, mix)
        else:
            loss = binary(on_real, torch.ones_like(on_real))
            loss = loss + binary(on_fake, torch.zeros_like(on_fake))
        d_optimizer.zero_grad()
        loss.backward()
        d_optimizer.step()
    for z in draws.generator.z:
        logits = critic(generator(z))[:, 0]
        if kind == "wgan_gp":
            loss = -logits.mean()
        elif kind == "non_saturating":
            loss = binary(logits, torch.ones_like(logits))
        else:
            loss = torch.log(1 - torch.sigmoid(logits)).mean()
        g_optimizer.zero_grad()
        loss.backward()
        g_optimizer.step()


@pytest.mark.parametrize(
    ("n_critic", "n_generator", "n_steps"), [(1, 1, 8), (3, 1, 6), (2, 2, 5), (11, 1, 5)]
)
@pytest.mark.parametrize("kind", ["wgan_gp", "non_saturating", "minimax"])
def test_training_equals_the_textbook_loop_step_for_step(kind, n_critic, n_generator, n_steps):
    # 11 updates are more than the fakes of one forward pass (8).
    loss = {"wgan_gp": Wasserstein(), "non_saturating": NonSaturating(), "minimax": Minimax()}[kind]
    penalties = {"gp": GradientPenalty(10.0)} if kind == "wgan_gp" else {}
    choice = {"optim": Adam(1e-2, betas=(0.5, 0.9)), "float64": True}
    run = small_run(loss, penalties, n_critic=n_critic, n_generator=n_generator, **choice)
    networks = textbook_networks(run)
    optimizers = [
        torch.optim.Adam(m.parameters(), 1e-2, (0.5, 0.9), foreach=False, fused=False)
        for m in networks
    ]
    start = [snapshot(dict(m.named_parameters())) for m in networks]
    for _ in range(n_steps):
        textbook_step(kind, networks, optimizers, draws_like(run))
        take_steps(run, 1)
        states = (run.state.generator, run.state.discriminator)
        for module, network in zip(networks, states, strict=True):
            for ours, theirs in zip(network.params.values(), module.parameters(), strict=True):
                torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)
    for module, before in zip(networks, start, strict=True):  # and something was learned
        for name, leaf in module.named_parameters():
            constant = kind == "wgan_gp" and name == "4.bias" and module is networks[1]
            assert torch.equal(leaf, before[name]) == constant


# Updates are counted.


@pytest.mark.parametrize("seeds", [(0,), (0, 1)], ids=["solo", "stacked"])
@pytest.mark.parametrize("n_generator", [1, 2])
@pytest.mark.parametrize("n_critic", [1, 2, 3, 5])
def test_n_critic_is_counted(n_critic, n_generator, seeds):
    run = small_run(n_critic=n_critic, n_generator=n_generator, seeds=seeds)
    for step in range(1, 4):
        take_steps(run, 1)
        assert n_updates(run.state.discriminator) == n_critic * step
        assert n_updates(run.state.generator) == n_generator * step
        assert run.state.step == step


def test_n_critic_does_not_restart_at_a_block_of_draws():
    run = small_run(n_critic=2)
    assert run.streams.spec.block_steps == 32
    take_steps(run, 70)
    assert n_updates(run.state.discriminator) == 140
    assert n_updates(run.state.generator) == 70


def test_a_warm_up_is_counted():
    run = small_run(n_critic=2, warmup_steps=2, warmup_every=5, warmup_n_critic=11)
    counts = []
    for _ in range(11):
        before = n_updates(run.state.discriminator)
        take_steps(run, 1)
        counts.append(n_updates(run.state.discriminator) - before)
    assert counts == [11, 11, 2, 2, 2, 11, 2, 2, 2, 2, 11]
    assert n_updates(run.state.generator) == 11


def test_every_update_sees_its_own_batch_and_noise():
    class Seen(Gradients):
        def discriminator(self, state, real, fake, mix, noise):
            seen.append((real, fake, mix, noise["instance_real"]))
            return super().discriminator(state, real, fake, mix, noise)

    seen = []
    run = small_run(regularizers={"i": InstanceNoise()}, n_critic=11)
    draws = draws_like(run)
    fakes = [run.objective.fakes(run.state.generator.params, {}, z) for z in draws.discriminator.z]
    take_steps(run, 1, gradients=Seen(run.objective))
    assert len(seen) == 11
    for i, (real, fake, mix, noise) in enumerate(seen):
        assert torch.equal(real, draws.discriminator.real[i])
        torch.testing.assert_close(fake, fakes[i].detach(), rtol=1e-5, atol=1e-6)
        assert torch.equal(mix, draws.discriminator.mix[i])
        assert torch.equal(noise, draws.discriminator.noise["instance_real"][i])


# Each network moves in its own updates only.


@pytest.fixture
def timeline(monkeypatch):
    """Which network moved, and both networks' leaves before and after, for every update."""
    events, network_update = [], NetworkState.update_

    def watching(run):
        networks = {"discriminator": run.state.discriminator, "generator": run.state.generator}

        def leaves():
            return {
                f"{role}/{name}": leaf
                for role, network in networks.items()
                for name, leaf in snapshot({**network.params, **network.buffers}).items()
            }

        def update_(self, *args):
            before = leaves()
            network_update(self, *args)
            role = next(role for role, network in networks.items() if network is self)
            events.append((role, before, leaves()))

        monkeypatch.setattr(NetworkState, "update_", update_)
        return events, leaves

    return watching


def changed(before, after):
    return {name for name in before if not torch.equal(before[name], after[name])}


@pytest.mark.parametrize("seeds", [(0,), (0, 1)], ids=["solo", "stacked"])
@pytest.mark.parametrize("network", [Mlp(2, 8, 2), BATCH_NORM], ids=["no norm", "batch norm"])
def test_a_network_moves_in_its_own_updates_only_bit_for_bit(network, seeds, timeline):
    run = small_run(network=network, n_critic=3, n_generator=2, seeds=seeds)
    events, leaves = timeline(run)
    last = leaves()
    take_steps(run, 2)
    assert [role for role, _, _ in events] == (["discriminator"] * 3 + ["generator"] * 2) * 2
    for role, before, after in events:
        assert changed(last, before) == set()  # nothing moves between two updates
        moved = changed(before, after)
        assert {name.split("/")[0] for name in moved} == {role}
        if network is BATCH_NORM:  # with its running statistics
            assert {n.split(".")[-1] for n in moved} >= {"running_mean", "num_batches_tracked"}
        last = after
    assert changed(last, leaves()) == set()


def test_a_batch_norm_counts_its_own_networks_updates_only():
    run = small_run(network=BATCH_NORM, n_critic=3)
    take_steps(run, 4)
    for network, passes in ((run.state.generator, 4), (run.state.discriminator, 3 * 4 * 2)):
        counters = [b for n, b in network.buffers.items() if n.endswith("num_batches_tracked")]
        assert {int(c) for c in counters} == {passes}  # real and fake are two passes


# The average, the flag, the addresses.


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.99])
def test_the_average_is_decay_times_itself_plus_the_rest_of_now_and_less_at_first(decay):
    run = small_run(float64=True, optim=Adam(1e-2))
    expected = snapshot(run.state.average)
    assert_same(expected, run.state.generator.params)
    for step, at_first in enumerate((1 / 10, 2 / 11, 3 / 12, 4 / 13, 5 / 14, 6 / 15)):
        take_steps(run, 1, ema=decay)
        d = min(decay, at_first)
        assert run.state.step == step + 1
        for name, leaf in run.state.generator.params.items():
            expected[name] = d * expected[name] + (1 - d) * leaf.detach()
            torch.testing.assert_close(run.state.average[name], expected[name], rtol=0, atol=1e-15)
    if decay == 0:
        assert_same(run.state.average, run.state.generator.params)


def test_the_average_takes_running_statistics_along_and_counters_as_they_are():
    run = small_run(network=BATCH_NORM)
    take_steps(run, 3, ema=0.9)
    for name, buffer in run.state.generator.buffers.items():
        if name.endswith("num_batches_tracked"):
            assert torch.equal(run.state.average[name], buffer)
        else:
            assert not torch.equal(run.state.average[name], buffer)


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("role", ["discriminator", "generator"])
def test_what_is_not_finite_is_flagged_for_its_seed_only(role, value):
    run = small_run(Wasserstein(), {"gp": GradientPenalty()}, seeds=SEEDS)
    healthy = small_run(Wasserstein(), {"gp": GradientPenalty()}, seeds=SEEDS)
    _, finite = take_steps(run, 1)
    assert finite.tolist() == [True, True, True]
    with torch.no_grad():
        for leaf in getattr(run.state, role).params.values():
            leaf[1] = value
    _, finite = take_steps(run, 1)
    assert finite.tolist() == [True, False, True]
    take_steps(healthy, 2)
    for name, leaf in healthy.state.generator.params.items():  # the others do not notice
        assert torch.equal(leaf[::2], run.state.generator.params[name][::2])


@pytest.mark.parametrize("failing", range(5))
def test_a_step_is_not_finite_if_any_one_of_its_updates_was_not(failing):
    class OneBad(Gradients):
        """Three discriminator and two generator updates, of which one says an infinite loss."""

        def discriminator(self, *args):
            return self.spoilt("discriminator", super().discriminator(*args))

        def generator(self, *args):
            return self.spoilt("generator", super().generator(*args))

        def spoilt(self, name, moved):
            if len(seen) == failing:
                moved[1][f"loss/{name}"] = moved[1][f"loss/{name}"] + math.inf
            seen.append(name)
            return moved

    seen = []
    run = small_run(n_critic=3, n_generator=2)
    _, finite = take_steps(run, 1, gradients=OneBad(run.objective))
    assert seen == ["discriminator"] * 3 + ["generator"] * 2
    assert not finite
    assert all(leaf.isfinite().all() for leaf in run.state.generator.params.values())


def test_an_infinite_loss_with_finite_gradients_is_flagged():
    class Infinite(NonSaturating):
        def discriminator(self, real_logits, fake_logits):
            return super().discriminator(real_logits, fake_logits) + math.inf

    _, finite = take_steps(small_run(Infinite()), 1)
    assert not finite
    _, finite = take_steps(small_run(Infinite(), seeds=SEEDS), 1)
    assert finite.tolist() == [False] * 3


@pytest.mark.parametrize(
    "optim", [Adam(1e-3), RmsProp(1e-3), Sgd(1e-3)], ids=["adam", "rms", "sgd"]
)
def test_addresses_never_change(optim):
    regularizers = load_regularizers("spectral_norm")
    run = small_run(network=BATCH_NORM, optim=optim, regularizers=regularizers)

    def addresses():
        state = run.state
        tensors = [*state.average.values()]
        for network in (state.discriminator, state.generator):
            tensors += [*network.params.values(), *network.buffers.values()]
        return [t.data_ptr() for t in tensors]

    before = addresses()
    take_steps(run, 3)
    saved = copy.deepcopy(run.state.state_dict())
    run.state.load_state_dict_(saved)
    assert addresses() == before


def test_a_loaded_state_goes_on_bit_for_bit_and_the_snapshot_stays():
    run = small_run(optim=Adam(1e-2), network=BATCH_NORM)
    take_steps(run, 3)
    saved = copy.deepcopy(run.state.state_dict())
    take_steps(run, 3)
    first = snapshot(everything(run))
    for _ in range(2):
        run.state.load_state_dict_(saved)
        assert run.state.step == 3
        take_steps(run, 3)
        assert_same(everything(run), first)


# What is logged.


def test_the_logged_norm_is_that_of_the_gradient_of_the_last_update():
    class Seen(Gradients):
        def generator(self, state, *args):
            seen.append(super().generator(state, *args))
            return seen[-1]

    seen = []
    run = small_run(float64=True)
    values, _ = take_steps(run, 1, gradients=Seen(run.objective))
    squares = sum(g.square().sum() for g in seen[-1][0].values())
    norm = pytest.approx(math.sqrt(squares.item()), rel=1e-12)
    assert values["gradient/generator_norm"].item() == norm
    losses = {"loss/discriminator", "loss/penalty", "loss/generator"}
    gradients = {"gradient/discriminator_norm", "gradient/generator_norm"}
    assert set(values) == {*losses, *gradients, "discriminator_estimate/js"}


@pytest.mark.parametrize("loss", names("loss"))
def test_gradients_of_the_step_equal_finite_differences_of_its_loss(loss):
    choice = {"network": Mlp(2, 3, 1, activation="tanh"), "float64": True, "batch_size": 4}
    run = small_run(load_loss(loss), load_regularizers("gradient_penalty"), **choice)
    state, part = run.state, draws_like(run).discriminator
    fake = run.gradients.fakes(state, part.z)[0]
    batch = (part.real[0], fake, part.mix[0], {})
    ours, _, _ = run.gradients.discriminator(state.discriminator, *batch)
    direction = {n: normal(*p.shape, seed=i) for i, (n, p) in enumerate(ours.items())}
    expected = sum((ours[n] * direction[n]).sum() for n in ours).item()

    def along(step):
        moved = {n: p.detach() + step * direction[n] for n, p in state.discriminator.params.items()}
        return run.objective.discriminator_loss(moved, {}, *batch)[0].item()

    measured = (along(1e-5) - along(-1e-5)) / 2e-5
    assert measured == pytest.approx(expected, rel=1e-6, abs=1e-8)
