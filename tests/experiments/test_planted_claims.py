"""Each row of the registry can fail: it passes on arrays that hold and fails on one change.

The arrays are made up, so that nothing is trained; only their shapes are those of the studies.
"""

import json
import math

import numpy as np
import pytest

from gan_lab.cli.reproduce import rows_of_the_registry
from gan_lab.experiments.best_and_last import claims as best
from gan_lab.experiments.claims import FAIL, PASS, judge
from gan_lab.experiments.critic_surfaces import claims as surfaces
from gan_lab.experiments.cross_entropy_gradients import claims as gradients
from gan_lab.experiments.cross_entropy_gradients import formulas
from gan_lab.experiments.cross_entropy_gradients.learning import flow_time
from gan_lab.experiments.curves_that_mean_something.study import CurvesThatMeanSomething
from gan_lab.experiments.dirac_gan.dynamics import METHODS as DIRAC
from gan_lab.experiments.dirac_gan.dynamics import SCHEMES, linear_step
from gan_lab.experiments.dirac_gan.study import DiracGan
from gan_lab.experiments.divergence_zoo import claims as zoo
from gan_lab.experiments.divergence_zoo import fits
from gan_lab.experiments.divergence_zoo.study import DivergenceZoo
from gan_lab.experiments.gan_1d.study import Gan1d
from gan_lab.experiments.gan_1d.trainings import METHODS as LINE
from gan_lab.experiments.losses_on_images.study import LossesOnImages
from gan_lab.experiments.mode_collapse.coverage import QUALITY_CEILING, kl_floor
from gan_lab.experiments.mode_collapse.study import ModeCollapse
from gan_lab.experiments.mode_collapse.trainings import METHODS as COLLAPSE
from gan_lab.experiments.optimal_discriminator import claims as optimum
from gan_lab.experiments.parallel_segments import claims as segments
from gan_lab.experiments.stacked_mnist import claims as stacked
from gan_lab.experiments.vanishing_gradients.study import VanishingGradients
from gan_lab.information import smoothed_segments
from tests.experiments import test_best_and_last as best_arrays
from tests.experiments import test_curves_that_mean_something as curves
from tests.experiments import test_losses_on_images as images
from tests.experiments import test_stacked_mnist as stacked_arrays
from tests.experiments import test_vanishing_gradients as vanishing
from tests.helpers import ROOT

ROWS = [row for row in rows_of_the_registry() if row.command and row.study != "w1_benchmark"]
S = 5  # seeds: as few as a median's interval needs
RATE, LEARNED = 0.15, 0.1  # of the neuron
ONES = np.ones(S)


def spread(value, *shape):
    """The value in every entry, a little different from seed to seed."""
    return np.full((*shape, S), value) * (1 + 1e-5 * np.arange(S))


def critic_surfaces():
    layers = 10.0 ** np.arange(6.0)
    arrays = {"deep_bounds": np.array([0.1, 0.01, 0.001]), "bound": np.array(0.05)}
    for kind, growth in (("clip_0", -1.0), ("clip_1", 1.0), ("clip_2", 1.0), ("penalty", 0.1)):
        arrays[f"deep/{kind}/norms"] = layers**growth * spread(1.0)[:, None]
        arrays[f"deep/{kind}/at_bounds"] = spread(0.9)
    arrays["inside/at_bounds"] = spread(0.9)
    for kind, value in (("clip", 0.2), ("one_sided", 0.9), ("light", 3.0)):
        arrays[f"{kind}/value"] = spread(value, 3)
        arrays[f"{kind}/contrast"] = spread(value / 2, 3)
    return arrays | {f"exact/{name}/wasserstein": ONES for name in surfaces.NAMES}


def cross_entropy_gradients():
    arrays = formulas.sigmoid_part() | formulas.softmax_part(0) | formulas.precision_part()
    grid = np.linspace(-1, 7, 33)
    times, classic = flow_time(grid, LEARNED), flow_time(np.array([1.5, 4.0]), LEARNED)
    arrays |= {"neuron/start": grid, "neuron/learned": np.array(LEARNED)}
    for name in times:
        arrays[f"neuron/{name}_steps"] = times[name] / RATE
        arrays[f"neuron/{name}_start_steps"] = classic[name] / RATE
        arrays[f"neuron/{name}_random_steps"] = np.full((S, 4), 20 if "cross" in name else 60)
    return arrays


def dirac_gan():
    tables = [[float(entry) for entry in method.table.split()] for method in DIRAC.values()]
    path = np.zeros((len(DIRAC), len(SCHEMES), 2, 2))
    path[:, :, -1, 0] = tables
    kink = np.full((2, 2), np.nan)
    steps = np.array(
        [
            [linear_step(m, 0.2, n) if m.linear is not None else kink for n in SCHEMES.values()]
            for m in DIRAC.values()
        ]
    )
    return {"path": path, "jacobian": steps, "jacobian_closed_form": steps.copy()}


def divergence_zoo():
    arrays = fits.blocks_part() | fits.gaussians_part()
    target = DivergenceZoo()
    means, stds, weights = map(
        np.array, (target.target_means, target.target_stds, target.target_weights)
    )
    heaviest = int(weights.argmax())
    middle = float(weights @ means)
    std = math.sqrt(float(weights @ (stds**2 + means**2)) - middle**2)
    arrays |= {"target/means": means, "target/stds": stds, "target/weights": weights}
    arrays |= {"fits/scale": np.ones(1), "fits/table": 1 - np.eye(4)}
    at = {"kl": (middle, std), "reverse_kl": (means[heaviest], stds[heaviest])}
    for name in fits.FIT_DIVERGENCES:
        mean, width = at.get(name, (middle, std))
        starts = [mean] * 2 if name != "reverse_kl" else means
        arrays[f"fits/{name}_mean"] = np.array([starts])
        arrays[f"fits/{name}_std"] = np.array([[width, width]])
        losses = [-math.log(weight) for weight in weights]
        arrays[f"fits/{name}_loss"] = np.array([losses])
    arrays["fits/w1_loss"] = np.ones((1, 2))
    return arrays


def gan_1d():
    arrays = {}
    for name in LINE:
        end = math.log(2) * (1 if name == "relativistic" else 2)
        arrays[f"{name}/wasserstein"] = np.stack([spread(10.0), spread(0.5)])
        arrays[f"{name}/loss_discriminator"] = np.stack([spread(2.0), spread(end)])
        arrays[f"{name}/floor"] = np.stack([spread(1.5), spread(1.0)])
        arrays[f"{name}/doubt"] = np.stack([spread(0.2), spread(0.01)])
        arrays[f"{name}/value"] = np.stack([spread(9.0), spread(0.4)])
        arrays[f"{name}/slope"] = np.ones((2, S))
    return arrays


def mode_collapse():
    arrays = {"data": np.array(["ring", "grid", "stacked_digits"])}
    arrays["methods"] = np.array(list(COLLAPSE))
    packed = list(COLLAPSE).index("packing")
    critic, plain = (list(COLLAPSE).index(name) for name in ("wasserstein", "non_saturating"))
    for data, k, n in (("ring", 8, 2500), ("grid", 25, 2500), ("stacked_digits", 1000, 26_000)):
        even = np.full((len(COLLAPSE), S, k), 2)
        even[plain, :, 0] = 0  # misses a mode, or two, which packing and the critic cover
        even[plain, 0, 1] = 0
        floor = kl_floor(np.full(k, 1 / k), n)
        arrays |= {f"{data}/final_{each}": even.copy() for each in ("nearest", "good")}
        arrays |= {f"{data}/n_final": np.array(n), f"{data}/weights": np.full(k, 1 / k)}
        arrays |= {f"{data}/good": np.repeat(even[:, None], 4, 1), f"{data}/real_kl": spread(floor)}
        arrays |= {f"{data}/real_n": np.array(10**7)}
        arrays |= {f"{data}/real_good": np.array(round(10**7 * QUALITY_CEILING))}
    assert (arrays["ring/final_good"][[critic, packed]] > 0).all()
    return arrays


def optimal_discriminator():
    arrays = {"shifts": np.array([0.0, 1.0, 3.0, 10.0]), "shift/t": np.array([1.0, 3.0])}
    for name in ("value", "minimax_loss", "minimax_gradient", "non_saturating_gradient"):
        arrays |= {f"{p}/{name}{end}": ONES for p in ("1d", "2d") for end in ("", "_formula")}
    arrays |= {f"1d/wasserstein_gradient{end}": ONES for end in ("", "_formula")}
    for name in ("minimax", "non_saturating", "wasserstein"):
        arrays |= {f"shift/{name}{end}": np.ones(2) for end in ("", "_formula")}
    arrays["shift/own_slope"] = np.full(2, 0.5)
    value = math.log(4) * -0.5
    for pair in ("1d", "2d"):
        arrays |= {f"{pair}/value": np.array(value), f"{pair}/js": np.array(math.log(2) / 2)}
        arrays |= {f"pair_{pair}/value": np.full(S, value), f"pair_{pair}/shortfall": np.zeros(S)}
        arrays[f"{pair}/value_formula"] = np.array(value)
        arrays[f"pair_{pair}/value"] = np.full(S, value)
    arrays["discriminator/value"] = spread(-math.log(4), 4)
    arrays["discriminator/non_saturating_loss"] = spread(math.log(2), 4)
    for name in ("minimax", "non_saturating"):
        arrays[f"discriminator/{name}"] = spread(1.0, 4)
    arrays["discriminator/minimax"][3] = 1e-5
    line = np.linspace(0, 4, 5)
    arrays |= {"far": np.array(4.0), "line": line}
    arrays["discriminator/logit"] = np.full((S, 5), -30.0)
    arrays["discriminator/slope"] = np.full((S, 5), -1.0)
    arrays |= {f"{kind}/slope": np.full((S, 5), -1.1) for kind in ("penalty", "clip")}
    bias = np.array([0.0, 1.05, 3.45, 15.0])
    arrays |= {"penalty/value": bias[:, None] * ONES, "penalty/value_formula": bias}
    arrays |= {"two_sided/shifts": arrays["shifts"][1:], "two_sided/value_formula": bias[1:]}
    return arrays | {"two_sided/value": bias[1:, None] * np.ones(40)}


def parallel_segments():
    theta, asked = np.array([-1.0, -0.3, 0.3, 1.0, 2.0]), np.array([0.3, 1.0, 2.0])
    steps, dims, sigma = np.array([1, 10, 1000]), np.array([2, 8]), 0.5
    scale = {
        "theta": theta,
        "asked": asked,
        "steps": steps,
        "dims": dims,
        "starts": np.array([2.0]),
    }
    arrays = {**scale, "n_critic": np.array([1, 50]), "width": np.array(64)}
    arrays |= {"weight": np.array(10.0), "bound": np.array(0.1), "sigma": np.array(sigma)}
    js = np.where(np.array([-1.0, 0.0, 1.0]) == 0, 0, math.log(2))
    arrays |= {"exact/theta": np.array([-1.0, 0.0, 1.0]), "exact/0.0": js[None]}
    arrays |= {"exact/table": segments._TABLE.copy(), "exact/peak": np.array([1.63626])}
    arrays["exact/sample_floor"] = spread(math.sqrt(math.pi) / 4, 3).T

    def put(key, size):
        arrays[f"{key}/along"], arrays[f"{key}/across"] = size, np.zeros_like(size)

    fall = np.array([0.1, 1.0, 1e-8])[:, None, None]
    put("fit/minimax", fall * spread(1.0, 3, 5))
    put("fit/non_saturating", np.array([0.1, 1.0, 50.0])[:, None, None] * spread(1.0, 3, 5))
    put("fit/wasserstein", (1 + np.abs(theta) / 20)[None, :, None] * spread(1.0, 3, 5))
    put("fit/wasserstein_clip", spread(1.0, 3, 5))
    arrays["fit/cross_entropy/estimate"] = spread(math.log(2), 3, 5)
    arrays["fit/wasserstein_clip/largest_weight"] = np.array(0.1)
    for n in (1, 50):
        for loss, left in (("minimax", 0.5 if n == 1 else 1.0), ("wasserstein", 0.02)):
            path = np.zeros((12, 1, S, 2))
            path[..., 0] = 2 * left
            arrays[f"learn/{n}/{loss}"] = path
    cured = smoothed_segments(1.0, sigma).minimax_gradient / sigma
    for dim in dims:
        put(f"embedded/{dim}/wasserstein", spread(1.0, 1, 3))
        put(f"embedded/{dim}/minimax", spread(1e-8, 1, 3))
        put(f"embedded/{dim}/noise/minimax", spread(cured, 1, 3))
    put("cure/noise/minimax", spread(cured, 1, 3))
    return arrays


def vanishing_gradients():
    ones = dict.fromkeys(vanishing.GRADIENTS, 1.0)
    last = {"minimax": 1e-4, "non_saturating": 300.0, "wasserstein": 0.5}
    return vanishing.arrays_of(ones, {**ones, "non_saturating": 100.0}, last)


def curves_that_mean_something():
    return curves.arrays(lambda evaluator: evaluator)


def cross_entropy_claims(arrays):
    return [
        *gradients.gradient_claims(arrays),
        *gradients.precision_claims(arrays),
        *gradients.neuron_claims(arrays, RATE),
    ]


STUDIES = {  # name -> (arrays that hold, their claims)
    "best_and_last": (lambda: best_arrays.arrays_of(**best_arrays.HOLDS), best.all_claims),
    "critic_surfaces": (critic_surfaces, surfaces.all_claims),
    "cross_entropy_gradients": (cross_entropy_gradients, cross_entropy_claims),
    "curves_that_mean_something": (curves_that_mean_something, CurvesThatMeanSomething().claims),
    "dirac_gan": (dirac_gan, DiracGan().claims),
    "divergence_zoo": (divergence_zoo, lambda a: [*zoo.distance_claims(a), *zoo.fit_claims(a)]),
    "gan_1d": (gan_1d, Gan1d().claims),
    "losses_on_images": (images.holding, LossesOnImages().claims),
    "mode_collapse": (mode_collapse, ModeCollapse().claims),
    "optimal_discriminator": (optimal_discriminator, optimum.all_claims),
    "parallel_segments": (parallel_segments, segments.claims),
    "stacked_mnist": (lambda: stacked_arrays.arrays_of(stacked_arrays.HOLDS), stacked.all_claims),
    "vanishing_gradients": (vanishing_gradients, VanishingGradients().claims),
}


def times(key, factor, at=...):
    def plant(arrays):
        changed = np.array(arrays[key], dtype=float)
        changed[at] *= factor
        arrays[key] = changed

    return plant


def plus(key, amount, at=...):
    def plant(arrays):
        changed = np.array(arrays[key], dtype=float)
        changed[at] += amount
        arrays[key] = changed

    return plant


def put(key, value, at=...):
    def plant(arrays):
        changed = np.array(arrays[key], dtype=float)
        changed[at] = value
        arrays[key] = changed

    return plant


def end_of_dirac(method, scheme, factor):
    where = (list(DIRAC).index(method), list(SCHEMES).index(scheme), -1)
    return times("path", factor, where)


def backwards(key):
    def plant(arrays):
        arrays[key] = arrays[key][..., ::-1]

    return plant


def without_mode(data, method):
    """One method ends without the last mode, in all its counts."""

    def plant(arrays):
        for key in ("final_nearest", "final_good"):
            changed = arrays[f"{data}/{key}"].copy()
            changed[list(COLLAPSE).index(method), :, -3:] = 0
            arrays[f"{data}/{key}"] = changed

    return plant


def whole_precision(arrays):
    """Nothing is clipped: the form by logits in place of that by probabilities."""
    for kind in ("float32", "float16"):
        for quantity in ("loss", "gradient"):
            key = f"precision/{kind}_{quantity}"
            arrays[key] = np.repeat(arrays[key][:1], 3, 0)


def legible_but_few(arrays):
    """With R1 samples are as legible as real data and lie in a tenth of the modes."""
    few = arrays["r1/nearest"].copy()
    few[..., 100:] = 0
    arrays["r1/nearest"] = few
    arrays["r1/good"] = arrays["packing/nearest"] * 0.86


_RING, _GRID, _ROLL = range(3)
_DIRAC_ROWS = [row for row in ROWS if row.study == "dirac_gan"]
PLANTED = {
    "gan_decays_more_than_wgan_gp": times("non_saturating/again", 0.3),
    "wgan_gp_stays_at_its_best": times("wasserstein/again", 1.3),
    "r1_stays_at_its_best": times("r1/again", 1.3),
    "average_hides_decay": times("non_saturating/again", 3, (slice(None), 1)),
    "stacked_mnist_kl_floor": times("real_kl", 2),
    "stacked_mnist_packing_adds_modes": times(
        "packing/nearest", 0, (slice(None), slice(None), slice(50, None))
    ),
    "stacked_mnist_packing_lowers_kl": times(
        "packing/nearest", 0, (slice(None), slice(None), slice(50, None))
    ),
    "stacked_mnist_count_flatters": legible_but_few,
    "large_bound_explodes": backwards("deep/clip_0/norms"),
    "small_bound_vanishes": backwards("deep/clip_2/norms"),
    "penalty_keeps_gradients": lambda a: a.update({"deep/penalty/norms": a["deep/clip_1/norms"]}),
    "weights_driven_to_bounds": times("inside/at_bounds", 0.3),
    "clipping_ignores_modes": lambda a: a.update({"one_sided/contrast": a["clip/contrast"] - 0.1}),
    "clipped_value_far_below": times("clip/value", 4, _ROLL),
    "clipped_value_far_below_ring": times("clip/value", 4, _RING),
    "clipped_value_far_below_grid": times("clip/value", 4, _GRID),
    "penalty_value_near": times("one_sided/value", 0.7, _ROLL),
    "penalty_value_near_ring": times("one_sided/value", 1.5, _RING),
    "penalty_value_near_grid": times("one_sided/value", 0.7, _GRID),
    "light_penalty_overestimates": times("light/value", 0.3, _RING),
    "light_penalty_overestimates_grid": times("light/value", 0.3, _GRID),
    "light_penalty_overestimates_swiss_roll": times("light/value", 0.3, _ROLL),
    "neuron_squared_error_saturates": times("neuron/squared_steps", 0.5, -1),
    "neuron_cross_entropy_does_not": times("neuron/cross_entropy_steps", 2, -1),
    "squared_error_steepest": times("sigmoid/squared_gradient", 0.5),
    "clipped_probabilities_stick": whole_precision,
    "clipping_fails_in_half_precision": whole_precision,
    "w_estimate_follows_samples_penalty": times("digits/wasserstein/estimate", -1),
    "w_estimate_follows_samples_clipping": times("digits/wasserstein_clip/estimate", -1),
    "w_estimate_ranks_closely_on_the_ring": times("ring/wasserstein/estimate", -1),
    "curves_that_mean_something_full": times("ring/wasserstein_clip/estimate", -1),
    "js_estimate_does_not_follow_samples": lambda a: a.update(
        {"digits/non_saturating/estimate": a["digits/non_saturating/energy"] / 10}
    ),
    "js_estimate_is_of_samples_that_move": put("digits/non_saturating/energy", 4.0),
    "dirac_regularised_converge": lambda a: end_of_dirac("r1", "simultaneous", 1e6)(a),
    "dirac_others_stay_away": lambda a: end_of_dirac("minimax", "alternating_1", 1e-3)(a),
    "dirac_jacobians_agree": plus("jacobian", 1e-6),
    "dirac_simultaneous_minimax_expands": times("jacobian", 0.99),
    "dirac_critical_weight": plus("jacobian", 0.05, (slice(None), 0, 0, 0)),
    "blocks_js_blind": times("blocks/js", 1.1),
    "blocks_kl_infinite": put("blocks/kl", 50.0, -1),
    "blocks_w1_distance": times("blocks/w1", 0.9),
    "gaussian_js_slope_dies": times("gaussians/js_slope", 2),
    "forward_kl_covers": times("fits/kl_std", 0.5),
    "reverse_kl_seeks_a_mode": put("fits/reverse_kl_loss", 0.8),
    "line_minimax_floor": times("minimax/loss_discriminator", 0.4),
    "line_least_squares_floor": times("least_squares/loss_discriminator", 0.4),
    "line_hinge_floor": times("hinge/loss_discriminator", 0.4),
    "line_wasserstein_duality": times("wasserstein/slope", 0.5),
    "line_wasserstein_clip_duality": times("wasserstein_clip/slope", 0.5),
    "losses_close_mnist_5k": images.farther("mnist_5k", "wgan_gp", "tuned", 2),
    "losses_close_fashion_mnist": images.farther("fashion_mnist", "wgan_gp", "tuned", 2),
    "price_of_not_tuning_mnist_5k": images.farther("mnist_5k", "wgan_gp", "published", 0.01),
    "price_of_not_tuning_fashion_mnist": images.farther(
        "fashion_mnist", "wgan_clip", "published", 0.01
    ),
    "order_ns_before_wgan_gp_mnist": images.farther("mnist_5k", "wgan_gp", "tuned", 0.5),
    "order_clip_before_wgan_gp_mnist": images.farther("mnist_5k", "wgan_clip", "tuned", 2),
    "order_wgan_gp_before_ns_fashion": images.farther("fashion_mnist", "wgan_gp", "tuned", 2),
    "order_clip_before_wgan_gp_fashion": images.farther("fashion_mnist", "wgan_clip", "tuned", 2),
    "r1_helps_non_saturating_mnist": images.farther("mnist_5k", "non_saturating", "tuned", 0.5),
    "mode_collapse_quality_ceiling": times("ring/real_good", 0.97),
    "mode_collapse_ring_kl_floor": times("ring/real_kl", 2),
    "mode_collapse_stacked_kl_floor": times("stacked_digits/real_kl", 0.5),
    "mode_collapse_critic_covers_ring": without_mode("ring", "wasserstein"),
    "mode_collapse_packing_adds_modes_ring": without_mode("ring", "packing"),
    "mode_collapse_packing_adds_modes_grid": without_mode("grid", "packing"),
    "mode_collapse_critic_covers_more_stacked_digits": without_mode(
        "stacked_digits", "wasserstein"
    ),
    "value_at_optimum": plus("1d/value", 1e-6),
    "minimax_gradient_is_grad_2js": times("2d/minimax_gradient", 0.5),
    "non_saturating_gradient_identity": times("1d/non_saturating_gradient", -1),
    "gaussian_shift_gradients": times("shift/minimax", 0.5),
    "equilibrium_value": plus("discriminator/value", 0.1),
    "trained_minimax_gradient": times("discriminator/minimax", 1.3),
    "discriminator_saturates": put("discriminator/logit", 0.0),
    "critic_pushes_everywhere": put("penalty/slope", 0.0, (slice(None), 2)),
    "penalty_bias_on_a_line": lambda a: a.update(
        {"penalty/value": a["shifts"][:, None] * ONES}  # W1 alone
    ),
    "segments_js": times("exact/0.0", 0.9),
    "segments_js_trained": times("fit/cross_entropy/estimate", 0.8),
    "segments_minimax_vanishes": times("fit/minimax/along", 1e6, -1),
    "segments_non_saturating_grows": times("fit/non_saturating/along", 0.1, -1),
    "segments_penalty_bias": put("fit/wasserstein/along", 1.0),
    "segments_wasserstein_learns": put("learn/50/wasserstein", 2.0),
    "segments_minimax_stays": times("learn/50/minimax", 0.5),
    "segments_minimax_moves_early": times("learn/1/minimax", 2.0),
    "segments_clipping_bound": times("fit/wasserstein_clip/along", 7.0),
    "segments_noise_cures": times("cure/noise/minimax/along", 0.5),
    "segments_smoothed_table": times("exact/table", 1.001),
    "segments_sample_floor": times("exact/sample_floor", 1.2),
    "minimax_gradient_vanishes_at_frozen_generators": put("digits/minimax/norm", 1.0),
    "minimax_gradient_vanishes_at_frozen_generators_full": put("digits/minimax/norm", 1.0),
    "non_saturating_gradient_grows_at_frozen_generators": put("digits/non_saturating/norm", 1.0),
    "non_saturating_gradient_settles_at_frozen_generators": times(
        "digits/non_saturating/norm", 260.0, (..., -1)
    ),
    "critic_gradient_settles_at_frozen_generators": put("digits/wasserstein/norm", 30.0, (..., -1)),
}
for _row in _DIRAC_ROWS:
    if _row.id not in PLANTED:
        _name, _, _scheme = next(
            (n, s, s) for n in DIRAC for s in SCHEMES if _row.claim == f"{n}_{s}"
        )
        PLANTED[_row.id] = end_of_dirac(_name, _scheme, 1.5)


@pytest.fixture(scope="module")
def holding():
    return {name: make() for name, (make, _) in STUDIES.items()}


def outcomes(row, arrays):
    found = {claim.id: claim for claim in STUDIES[row.study][1](arrays)}
    claim = found[row.claim]
    return judge(claim.measured, row.relation, row.expected, row.tolerance), claim.verdict


def test_each_row_has_a_plant():
    assert set(PLANTED) == {row.id for row in ROWS}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_a_row_passes_on_what_holds_and_fails_on_what_it_says_would_make_it_fail(row, holding):
    arrays = dict(holding[row.study])
    assert outcomes(row, arrays) == (PASS, PASS)
    PLANTED[row.id](arrays)
    assert outcomes(row, arrays) == (FAIL, FAIL), row.fails_if


def test_the_kept_rows_say_which_are_checks_as_the_studies_do(holding):
    kinds = {
        (name, claim.id): claim.kind
        for name, (_, claims) in STUDIES.items()
        for claim in claims(holding[name])
    }
    kept = json.loads((ROOT / "docs" / "reproduce.json").read_text())["rows"]
    measured = {row["id"]: row["kind"] for row in kept if row["measured"] is not None}
    expected = {row.id: kinds[row.study, row.claim] for row in ROWS if row.id in measured}
    assert {id: measured[id] for id in expected} == expected
