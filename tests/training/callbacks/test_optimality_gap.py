"""The optimality gap is large for a discriminator far from its optimum and none at it."""

import pytest
import torch

from gan_lab.engine.rng import Streams
from gan_lab.engine.step import train_step, update_discriminator_
from gan_lab.information.penalty_bias import gradient_penalty_value
from gan_lab.training.build import open_run
from gan_lab.training.callback import Interval
from gan_lab.training.callbacks.optimality_gap import OptimalityGap, measure_optimality_gap
from tests.helpers import RING, run_config

GAP = "discriminator_estimate/optimality_gap"


def opened(*overrides):
    return open_run(run_config(*RING, *overrides))


def mean_gap(run):
    """Over steps that only name the randomness, so that noise averages out."""
    gaps = []
    for step in range(20):
        run.state.step = step
        gaps.append(float(measure_optimality_gap(run)[GAP].mean()))
    run.state.step = 0
    return sum(gaps) / len(gaps)


def train_discriminator(run, updates):
    streams = Streams(run.seeds, run.streams.spec, run.source, "more ")
    for step in range(updates):
        draws = streams.draws(step).discriminator
        fakes = run.gradients.fakes(run.state, draws.z)
        update_discriminator_(run.state.discriminator, run.gradients, draws, 0, fakes[0])


@pytest.mark.parametrize("loss", ["minimax", "wasserstein"])
def test_the_gap_closes_as_the_discriminator_nears_its_optimum(loss):
    # The data are far from the generator and separable: a good discriminator is learnt quickly.
    choice = (f"loss={loss}", "optim.lr=1e-2", "trainer.batch_size=64", "network.width=32")
    run = opened(*choice)
    fresh = mean_gap(run)
    train_discriminator(run, 400)
    assert fresh > 0.1
    assert abs(mean_gap(run)) < 0.2 * fresh


@pytest.mark.parametrize("n_seeds", [1, 2])
@pytest.mark.parametrize("loss", ["hinge", "wasserstein", "non_saturating"])
def test_looking_changes_nothing_and_repeats_itself(loss, n_seeds):
    run = opened(f"loss={loss}", f"n_seeds={n_seeds}")
    untouched = opened(f"loss={loss}", f"n_seeds={n_seeds}")
    for each in (run, untouched):
        train_step(each.state, each.streams.draws(0), each.gradients, 0.9)
    first, second = measure_optimality_gap(run), measure_optimality_gap(run)
    for tag in first:
        torch.testing.assert_close(first[tag], second[tag], rtol=0, atol=0)
    for each in (run, untouched):
        train_step(each.state, each.streams.draws(1), each.gradients, 0.9)
    for name, leaf in run.state.discriminator.params.items():
        torch.testing.assert_close(leaf, untouched.state.discriminator.params[name], rtol=0, atol=0)


def test_seeds_at_once_are_judged_as_the_same_seeds_alone():
    run = opened("n_seeds=3")
    together = measure_optimality_gap(run)
    for seed in range(3):
        alone = measure_optimality_gap(opened(f"seed={seed}"))
        for tag, value in alone.items():
            torch.testing.assert_close(together[tag][[seed]], value, rtol=1e-3, atol=1e-4)


def test_only_losses_with_an_estimate_are_called_readable():
    tag = "discriminator_estimate/near_optimal"
    assert tag not in measure_optimality_gap(opened("loss=hinge"))
    values = measure_optimality_gap(opened("loss=minimax"))
    assert float(values[tag]) in (0.0, 1.0)
    assert "discriminator_estimate/js_fresh" in values


def test_the_known_bias_of_the_penalty_is_told_in_one_dimension_only():
    tag = "discriminator_estimate/penalty_bias"
    cheap = [key for key in RING if not key.startswith("data=")]
    line = open_run(run_config(*cheap, "data=gaussian_1d"))
    assert tag in measure_optimality_gap(line)
    assert tag not in measure_optimality_gap(opened())


@torch.no_grad()
def make_linear(network, slope, shift=50.0):
    """Make a critic of one input slope times it, plus a constant, wherever that is above -shift."""
    for name, leaf in network.params.items():
        leaf.zero_()
        if name.endswith("weight"):
            leaf[0, 0] = 1.0
    first, last = list(network.params)[1], list(network.params)[-2]
    network.params[first][0] = shift
    network.params[last][0, 0] = slope


@pytest.mark.parametrize(("distance", "weight"), [(1.0, 10.0), (4.0, 2.0)])
def test_the_bias_of_the_penalty_is_that_of_the_optimal_critic_of_two_points(distance, weight):
    """There it is linear with slope 1 + distance/(2 weight) between the points."""
    cheap = [key for key in RING if not key.startswith("data=")]
    keys = ("data=gaussian_1d", f"regularizer.gradient_penalty.weight={weight}")
    run = open_run(run_config(*cheap, *keys))
    best = gradient_penalty_value(distance, weight)
    make_linear(run.state.discriminator, best.gradient_norm)
    bias = float(measure_optimality_gap(run)["discriminator_estimate/penalty_bias"])
    assert bias == pytest.approx(best.value - best.wasserstein, rel=1e-4)


def test_the_lower_bound_of_w1_is_the_estimate_over_the_largest_gradient_norm():
    run, own = opened("loss=wasserstein"), "discriminator_estimate/"
    run.rows = [{f"{own}gradient_norm_max": 5.0, f"{own}gradient_norm_mean": 2.0}]
    OptimalityGap(Interval(1)).on_step_end(run)
    row = run.rows[0]
    bound = row[f"{own}wasserstein_per_gradient_norm"]
    assert bound == pytest.approx(row[f"{own}wasserstein_fresh"] / 5.0, rel=1e-6)


@pytest.mark.parametrize(("loss", "estimate"), [("minimax", "js"), ("wasserstein", "wasserstein")])
def test_the_fresh_estimate_is_of_the_discriminator_and_not_of_its_copy(loss, estimate):
    run, tag = opened(f"loss={loss}", "optim.lr=0.1"), f"discriminator_estimate/{estimate}_fresh"
    with_copy = measure_optimality_gap(run)
    run.state.discriminator.set_lr_factor_(0.0)  # a copy that stays where it is
    without = measure_optimality_gap(run)
    assert float(with_copy[GAP]) > 0.1 > abs(float(without[GAP]))
    torch.testing.assert_close(with_copy[tag], without[tag], rtol=0, atol=0)


def test_the_copy_moves_at_the_rate_of_the_moment():
    run = opened("loss=minimax", "optim.lr=1e-2")
    assert float(measure_optimality_gap(run)[GAP].abs()) > 0
    run.state.discriminator.set_lr_factor_(0.0)
    assert float(measure_optimality_gap(run)[GAP].abs()) == 0


def test_a_discriminator_trained_in_bf16_is_judged_in_float32():
    keys = ("data=digits", "regularizer=[r2]", "execution.precision=bf16", "device=cpu")
    run = open_run(run_config(*keys))
    assert run.gradients.fakes(run.state, torch.randn(1, 4, 32)).dtype == torch.float32
    assert measure_optimality_gap(run)[GAP].isfinite()
