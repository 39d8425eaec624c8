"""Lazy penalties: due by the index of the update in the run, unbiased, and counted as made."""

import copy
from dataclasses import dataclass, replace

import pytest
import torch

from gan_lab.engine.backends import select
from gan_lab.engine.backends.cuda_graph import GraphedStep
from gan_lab.engine.backends.mlp_gradients import AnalyticMlpGradients
from gan_lab.engine.gradients import Gradients
from gan_lab.engine.step import train_step, update_discriminator_
from gan_lab.losses import Wasserstein
from gan_lab.networks.dcgan import Dcgan
from gan_lab.networks.mlp import Mlp
from gan_lab.regularizers import R1, R2, Dragan, GradientPenalty, WeightClipping
from gan_lab.regularizers.base import GradientNormPenalty
from gan_lab.training import memory
from gan_lab.training.callbacks.optimality_gap import measure_optimality_gap
from gan_lab.training.compute_budget import Origin, clocks
from tests.helpers import assert_same, draws_like, normal, seeded, small_run, snapshot, take_steps
from tests.rehearsal import Rehearsal

LAZY = {"gp": GradientPenalty(10.0, every=4)}
# n_critic and the warm-up are no multiples of `every`, so that a phase by steps would differ.
SCHEDULES = {
    "one": {"n_critic": 1},
    "three": {"n_critic": 3},
    "warm": {"n_critic": 3, "warmup_steps": 2, "warmup_every": 5, "warmup_n_critic": 11},
}
TWO = {"r1": R1(1.0, every=4), "r2": R2(2.0, every=3)}
SEEDS = (0, 1, 4)


def every_penalty(every):
    yield GradientPenalty(10.0, every=every)
    yield GradientPenalty(10.0, 0.01, one_sided=True, every=every)
    yield R1(3.0, every=every)
    yield R2(3.0, every=every)
    yield Dragan(10.0, every=every)


@dataclass(frozen=True)
class Spy(GradientNormPenalty):
    """R1 that notes each time that its points are asked for."""

    every: int = 1
    notes: tuple = ()

    def points(self, real, fake, mix, noise):
        self.notes[0].append("penalty")
        return real

    def cost(self, gradient_norms):
        return gradient_norms.square()


def penalized_updates(n_steps, every, kind=Gradients, first_step=0, **schedule):
    """The updates in which a lazy penalty computes its points, and the run."""

    class Noted(kind):
        def discriminator(self, *arguments):
            notes.append("update")
            return super().discriminator(*arguments)

    notes = []
    run = small_run(None, {"spy": Spy(every, (notes,))}, **schedule)
    run.state.step = first_step
    take_steps(run, n_steps, gradients=Noted(run.objective))
    updates = [i for i, note in enumerate(notes) if note == "update"]
    penalized = [notes[i + 1 : i + 2] == ["penalty"] for i in updates]
    return [i for i, is_due in enumerate(penalized) if is_due], run


@pytest.mark.parametrize("kind", [Gradients, AnalyticMlpGradients])
@pytest.mark.parametrize("every", [1, 2, 4, 16])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_penalty_is_computed_at_every_kth_update_of_the_run(schedule, every, kind):
    updates, run = penalized_updates(12, every, kind, **SCHEDULES[schedule])
    n_updates = run.config.trainer.schedule.discriminator_steps(12)
    assert updates == list(range(0, n_updates, every))


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("first_step", [1, 5, 30, 70])
def test_the_phase_follows_from_the_step_alone(schedule, first_step):
    """Also in later blocks of draws, of 32 steps: 7 divides neither 32 nor their updates."""
    updates, run = penalized_updates(6, 7, first_step=first_step, **SCHEDULES[schedule])
    index = run.config.trainer.schedule.discriminator_steps
    first, end = index(first_step), index(first_step + 6)
    assert updates == [i - first for i in range(first, end) if i % 7 == 0]


# The mean of the gradient.


def gradients_of(run, kind, regularizer, updates, batch=None):
    """The gradients of consecutive updates, with frozen networks, of one batch if not their own."""
    objective = replace(run.objective, regularizers=(regularizer,))
    gradients = kind(objective, run.gradients.stacked)
    draws = draws_like(run).discriminator
    fakes = gradients.fakes(run.state, draws.z)
    noise = {"dragan": normal(*draws.real.shape, seed=3)}
    results = []
    for i in range(updates):
        at = i if batch is None else batch
        parts = draws.real[at], fakes[at], draws.mix[at], {"dragan": noise["dragan"][at]}
        results.append(gradients.at_update(i).discriminator(run.state.discriminator, *parts))
    return results


@pytest.mark.parametrize("kind", [Gradients, AnalyticMlpGradients])
@pytest.mark.parametrize("seeds", [(0,), (0, 1)], ids=["solo", "stacked"])
@pytest.mark.parametrize("every", [2, 4, 5])
def test_the_mean_gradient_over_k_updates_is_that_of_a_penalty_at_each(every, seeds, kind):
    run = small_run(Wasserstein(), float64=True, seeds=seeds)
    for lazy, full in zip(every_penalty(every), every_penalty(1), strict=True):
        ours = gradients_of(run, kind, lazy, every, batch=0)
        ((expected, values, _),) = gradients_of(run, kind, full, 1, batch=0)
        assert any(
            not torch.allclose(ours[0][0][name], leaf, rtol=1e-2) for name, leaf in expected.items()
        )
        for name, leaf in expected.items():
            mean = sum(each[0][name] for each in ours) / every
            torch.testing.assert_close(mean, leaf, rtol=1e-11, atol=1e-13)
        # What is logged is the plain penalty, and only where there is one.
        torch.testing.assert_close(ours[0][1]["loss/penalty"], values["loss/penalty"])
        assert not any("loss/penalty" in each[1] for each in ours[1:])


def test_lazy_training_is_a_plain_loop_with_four_times_the_weight_at_every_fourth_update():
    run = small_run(Wasserstein(), LAZY, n_critic=3, float64=True)
    plain = small_run(Wasserstein(), n_critic=3, float64=True)
    without = Gradients(plain.objective)
    strong = Gradients(replace(plain.objective, regularizers=(GradientPenalty(40.0),)))
    start, index = snapshot(run.state.generator.params), 0
    for _ in range(8):
        draws = draws_like(plain)
        fakes = plain.gradients.fakes(plain.state, draws.discriminator.z)
        for i in range(3):
            kind = strong if index % 4 == 0 else without
            by_hand = draws.discriminator._replace(first=None)
            update_discriminator_(plain.state.discriminator, kind, by_hand, i, fakes[i])
            index += 1
        result = without.generator(plain.state, draws.generator.real[0], draws.generator.z[0], {})
        plain.state.generator.update_(result[0], result[2])
        plain.state.step += 1
        take_steps(run, 1)
        for role in ("discriminator", "generator"):
            leaves = getattr(plain.state, role).params
            for name, leaf in getattr(run.state, role).params.items():
                torch.testing.assert_close(leaf, leaves[name], rtol=1e-9, atol=1e-10)
    moved = run.state.generator.params
    assert any(not torch.allclose(moved[name], start[name], atol=1e-3) for name in start)


@pytest.mark.parametrize("regularizer", [LAZY["gp"], Dragan(every=4)], ids=["gp", "dragan"])
def test_the_same_seed_has_the_same_draws_whatever_every_is(regularizer):
    runs = [small_run(regularizers={"a": replace(regularizer, every=k)}) for k in (1, 3, 4)]
    for step in (0, 1, 2, 40):
        first, *others = [run.streams.draws(step) for run in runs]
        for other in others:
            for one, two in zip(first, other, strict=True):
                assert_same(two.noise, one.noise)
                assert all(torch.equal(a, b) for a, b in zip(two[:3], one[:3], strict=True))


# The same training, however it is computed.


def check_same(run, other, rtol=1e-9, atol=1e-10):
    for role in ("discriminator", "generator"):
        leaves = getattr(other.state, role).params
        for name, leaf in getattr(run.state, role).params.items():
            torch.testing.assert_close(leaf, leaves[name], rtol=rtol, atol=atol, msg=name)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("regularizers", [LAZY, TWO], ids=["one", "two"])
def test_analytic_gradients_are_those_of_autograd(regularizers, schedule):
    runs = [small_run(None, regularizers, float64=True, **SCHEDULES[schedule]) for _ in range(2)]
    analytic, autograd = runs
    assert isinstance(analytic.gradients, AnalyticMlpGradients)
    for _ in range(9):
        values, _ = take_steps(analytic, 1)
        others, _ = take_steps(autograd, 1, gradients=Gradients(autograd.objective))
        assert values.keys() == others.keys()
        for tag, value in others.items():
            torch.testing.assert_close(values[tag], value, rtol=1e-9, atol=1e-9, msg=tag)
    check_same(analytic, autograd)


@pytest.mark.parametrize(
    "network", [Mlp(2, 8, 2), Mlp(2, 8, 2, activation="tanh")], ids=["analytic", "autograd"]
)
@pytest.mark.parametrize("regularizers", [LAZY, TWO], ids=["one", "two"])
def test_stacked_seeds_are_solo_seeds(regularizers, network):
    choice = {"regularizers": regularizers, "network": network, "n_critic": 3, "float64": True}
    together = small_run(seeds=SEEDS, **choice)
    take_steps(together, 6)
    for k, seed in enumerate(SEEDS):
        alone = small_run(seeds=(seed,), **choice)
        take_steps(alone, 6)
        for role in ("discriminator", "generator"):
            leaves = getattr(together.state, role).params
            for name, leaf in getattr(alone.state, role).params.items():
                torch.testing.assert_close(leaves[name][k], leaf, rtol=1e-9, atol=1e-10, msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("regularizers", [LAZY, TWO], ids=["one", "two"])
def test_a_compiled_training_is_the_eager_one(regularizers, activation):
    choice = {"network": Mlp(2, 8, 2, activation=activation), "n_critic": 3}
    runs = [small_run(Wasserstein(), regularizers, **choice) for _ in range(2)]
    compiled, eager = runs
    execution = replace(compiled.config.execution, mode="compiled")
    compiled.gradients = select.build_gradients(compiled.objective, 1, execution)
    for _ in range(5):
        values, _ = take_steps(compiled, 1)
        others, _ = take_steps(eager, 1)
        assert values.keys() == others.keys()
    check_same(compiled, eager, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("seeds", [(0,), (0, 1)], ids=["solo", "stacked"])
@pytest.mark.parametrize("regularizers", [LAZY, TWO], ids=["one", "two"])
def test_graphs_replay_the_eager_training(regularizers, seeds, schedule):
    choice = {"seeds": seeds, **SCHEDULES[schedule]}
    eager, replayed = (small_run(None, regularizers, **choice) for _ in range(2))
    step = GraphedStep(replayed.state, replayed.gradients, 0.9, Rehearsal())
    for i in range(9):
        values, _ = train_step(eager.state, eager.streams.draws(i), eager.gradients, 0.9)
        again, _ = step(replayed.streams.draws(i))
        torch.testing.assert_close(again, values, rtol=0, atol=0)
    torch.testing.assert_close(
        replayed.state.state_dict(), eager.state.state_dict(), rtol=0, atol=0
    )


@pytest.mark.parametrize(
    ("n_critic", "every", "n_graphs"), [(1, 1, 1), (1, 4, 2), (3, 4, 4), (5, 4, 4), (3, 16, 4)]
)
def test_there_is_one_graph_for_each_pattern_of_penalized_updates(n_critic, every, n_graphs):
    run = small_run(None, {"r1": R1(every=every)}, n_critic=n_critic)
    step = GraphedStep(run.state, run.gradients, 0.9, Rehearsal())
    for i in range(3 * every):
        step(run.streams.draws(i))
    assert sum(network == "discriminator" for network, _ in step._graphs) == n_graphs
    assert sum(network == "generator" for network, _ in step._graphs) == 1


def test_a_state_that_is_loaded_goes_on_in_its_phase():
    run = small_run(None, TWO, n_critic=3)
    take_steps(run, 3)
    saved = copy.deepcopy(run.state.state_dict())
    take_steps(run, 6)
    other = small_run(None, TWO, n_critic=3)
    other.state.load_state_dict_(saved)
    take_steps(other, 6)
    assert_same(other.state.discriminator.params, snapshot(run.state.discriminator.params))


def test_a_convolutional_discriminator_is_as_lazy():
    from gan_lab.data.digits import Digits

    choice = {"data": Digits(), "network": Dcgan(3, 4), "float64": True, "n_critic": 2}
    run = small_run(None, {"r1": R1(2.0, every=4)}, **choice)
    other = small_run(None, {"r1": R1(8.0)}, **choice)
    for step in range(2):
        draws, fakes = draws_like(run, step).discriminator, None
        fakes = run.gradients.fakes(run.state, draws.z)
        for i in range(2):
            parts = draws.real[i], fakes[i], draws.mix[i], {}
            d = run.state.discriminator
            lazy = run.gradients.at_update(2 * step + i).discriminator(d, *parts)[0]
            kind = other if 2 * step + i == 0 else small_run(None, {}, **choice)
            full = kind.gradients.discriminator(d, *parts)[0]
            for name, leaf in full.items():
                torch.testing.assert_close(lazy[name], leaf, rtol=1e-10, atol=1e-14, msg=name)


# What is logged and counted.


def test_the_logged_penalty_is_the_plain_one_of_the_updates_that_have_all():
    run = small_run(None, TWO, n_critic=1, float64=True)
    tags = []
    for _ in range(13):
        draws = draws_like(run)
        fakes = run.gradients.fakes(run.state, draws.discriminator.z)
        d = run.state.discriminator
        both = run.objective.discriminator_loss(
            d.params, {}, draws.discriminator.real[0], fakes[0], draws.discriminator.mix[0], {}
        )[1]["loss/penalty"]
        values, _ = take_steps(run, 1)
        tags.append("loss/penalty" in values)
        if tags[-1]:
            torch.testing.assert_close(values["loss/penalty"][0], both, rtol=1e-9, atol=0)
    assert [i for i, logged in enumerate(tags) if logged] == [0, 12]


def test_a_step_logs_its_last_penalized_update():
    run = small_run(None, LAZY, n_critic=5, float64=True)
    tags = [take_steps(run, 1)[0] for _ in range(8)]
    assert all("loss/penalty" in values for values in tags)


def test_regularizers_without_a_penalty_are_never_left_out():
    regularizers = {"clip": WeightClipping(0.01), "r1": R1(every=4)}
    run = small_run(None, regularizers)
    take_steps(run, 3)  # the last has no penalty
    assert all(leaf.abs().max() <= 0.01 for leaf in run.state.discriminator.params.values())
    assert run.objective.factors_at(3) == (1, 0)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("every", [1, 3, 4])
def test_each_inner_gradient_that_is_made_is_counted(schedule, every):
    updates, run = penalized_updates(12, every, **SCHEDULES[schedule])
    for step in (0, 1, 2, 7, 12):
        n_updates = run.config.trainer.schedule.discriminator_steps(step)
        made = sum(i < n_updates for i in updates)
        spent = clocks(run.config, step, 0.0)["clock/gradient_evaluations"]
        assert spent == n_updates + step + made


@pytest.mark.parametrize("since", [1, 5, 8])
def test_a_fork_counts_its_own_inner_gradients(since):
    schedule = SCHEDULES["warm"]
    updates, run = penalized_updates(8, 4, first_step=since, **schedule)
    before = {"clock/gradient_evaluations": 1000.0}
    spent = clocks(run.config, since + 8, 0.0, Origin(since, before, {}))
    index = run.config.trainer.schedule.discriminator_steps
    n_updates = index(since + 8) - index(since)
    assert spent["clock/gradient_evaluations"] == 1000 + n_updates + 8 + len(updates)


def test_two_penalties_are_counted_each_by_itself():
    run = small_run(None, TWO, n_critic=5)
    spent = clocks(run.config, 7, 0.0)["clock/gradient_evaluations"]
    assert spent == 35 + 7 + len(range(0, 35, 4)) + len(range(0, 35, 3))


def test_the_memory_is_that_of_an_update_with_all_penalties():
    lazy, full = (small_run(None, {"r1": R1(every=k)}) for k in (4, 1))
    assert memory.estimate(lazy.config, lazy.source) == memory.estimate(full.config, full.source)


def test_the_optimality_gap_is_that_of_the_whole_objective():
    lazy, full = (small_run(None, {"r1": R1(every=k)}) for k in (4, 1))
    torch.testing.assert_close(
        measure_optimality_gap(lazy), measure_optimality_gap(full), rtol=0, atol=0
    )


@pytest.mark.parametrize("make", [GradientPenalty, R1, R2, Dragan])
@pytest.mark.parametrize("every", [0, -4, 1.5, True, "4"])
def test_every_is_a_whole_number_from_1(make, every):
    with pytest.raises(ValueError, match=f"{make.__name__}.every="):
        make(every=every)


def test_a_penalty_by_itself_does_not_depend_on_every():
    real, fake = normal(5, 3, seed=1), normal(5, 3, seed=2)
    mix = torch.rand(5, generator=seeded(3), dtype=torch.float64)

    def score(x):
        return x.square().sum(1)

    for lazy, full in zip(every_penalty(4), every_penalty(1), strict=True):
        both = (each.penalty(score, real, fake, mix, {"dragan": real}) for each in (lazy, full))
        assert torch.equal(*both)
