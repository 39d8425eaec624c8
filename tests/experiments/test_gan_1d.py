"""GANs on a line: the distances are exact, the claims follow from theory and can fail."""

import math

import numpy as np
import pytest

from gan_lab.data.toy import Gaussian1d, Mixture1d
from gan_lab.experiments.claims import FAIL, INCONCLUSIVE, PASS
from gan_lab.experiments.gan_1d import exact as line
from gan_lab.experiments.gan_1d import study as gan_1d
from gan_lab.experiments.gan_1d import trainings
from gan_lab.experiments.gan_1d.study import Gan1d
from gan_lab.information import gaussians
from tests.experiments.helpers import small_lab

NORMAL = Gaussian1d().components()
STUDY = Gan1d(steps=10, pictures=5)


@pytest.fixture(scope="module")
def arrays(tmp_path_factory):
    return STUDY.measure(small_lab(tmp_path_factory.mktemp("gan_1d")))


def verdicts(arrays):
    return {claim.id: claim.verdict for claim in STUDY.claims(arrays)}


@pytest.mark.parametrize(("mean", "std"), [(1.0, 1.0), (2.0, 0.5), (3.0, 0.1), (0.5, 2.0)])
def test_a_straight_map_has_the_distances_of_two_gaussians(mean, std):
    got = line.distances(NORMAL, mean + std * line.z_edges(2048), 8192)
    exact = gaussians(0.0, 1.0, mean, std)
    assert got.js == pytest.approx(exact.js, abs=1e-5)
    assert got.js_coarse == pytest.approx(exact.js, abs=2e-5)
    assert got.tv == pytest.approx(exact.tv, abs=5e-4)
    assert got.wasserstein == pytest.approx(exact.wasserstein, abs=2e-5)


def test_a_generator_turned_round_is_the_same_distribution():
    x = 1.0 + 0.7 * line.z_edges(2048)
    there, back = (line.distances(NORMAL, each, 4096) for each in (x, x[::-1]))
    np.testing.assert_allclose(there, back, rtol=1e-9)


def test_a_map_that_folds_has_the_density_of_its_branches():
    x = np.linspace(0.01, 6, 50)
    got = line.generated_cdf(line.z_edges(4096) ** 2, x)  # z^2 is chi squared with 1 degree
    np.testing.assert_allclose(got, [math.erf(math.sqrt(v / 2)) for v in x], rtol=0, atol=2e-5)


def test_a_constant_generator_is_a_point():
    got = line.distances(NORMAL, np.full(2049, 0.3), 8192)
    assert got.js == pytest.approx(math.log(2), abs=5e-3)  # but for the bin of the point
    # E |X - .3| of a standard normal X.
    folded = 0.3 * math.erf(0.3 / math.sqrt(2)) + math.exp(-0.045) * math.sqrt(2 / math.pi)
    assert got.wasserstein == pytest.approx(folded, abs=1e-3)


def test_equal_distributions_are_at_distance_nothing_and_the_floors_at_equilibrium():
    got = line.distances(NORMAL, line.z_edges(2048), 8192)
    floors = line.floors(got)
    assert got.wasserstein == pytest.approx(0, abs=1e-5)
    assert floors["minimax"] == pytest.approx(2 * math.log(2), abs=1e-5)
    assert floors["least_squares"] == pytest.approx(0.25, abs=1e-5)
    assert floors["hinge"] == pytest.approx(2, abs=1e-3)


def test_quantiles_carry_equal_mass():
    data = Mixture1d([0.7, 2.9], [0.45, 0.35], [0.55, 0.45]).components()
    levels = line.data_cdf(data, line.data_quantiles(data, 100))
    np.testing.assert_allclose(levels, (np.arange(100) + 0.5) / 100, rtol=0, atol=1e-8)


def test_theory_holds_from_the_first_steps_and_two_seeds_settle_nothing(arrays):
    by_id = verdicts(arrays)
    theory = [id for id in by_id if id.endswith(("_floor", "_duality"))]
    assert len(theory) == 6
    assert {by_id[id] for id in ["paired", *theory]} == {PASS}
    assert set(by_id.values()) <= {PASS, INCONCLUSIVE}


def test_a_training_from_another_seed_is_not_paired(arrays, tmp_path, monkeypatch):
    for module in (gan_1d, trainings):
        monkeypatch.setattr(module, "METHODS", {"hinge": ("loss=hinge", "seed=7")})
    other = STUDY.measure(small_lab(tmp_path))
    monkeypatch.undo()
    mixed = {**arrays, "hinge/wasserstein": other["hinge/wasserstein"]}
    assert verdicts(mixed)["paired"] == FAIL


def test_claims_fail_on_a_small_js_a_small_slope_and_a_generator_that_runs_away(arrays):
    # Two bins can hardly tell the distributions apart, so the floor would be near 2 log 2.
    data = Mixture1d(STUDY.means, STUDY.stds, STUDY.weights).components()
    blunt = line.distances(data, line.z_edges(2048) * 0.05, 2)
    each = np.ones((len(arrays["step"]), 2))
    broken = {"minimax/loss_discriminator": 0.8 * each}  # the true floor is .08 at the start
    broken |= {"minimax/floor": line.floors(blunt)["minimax"] * each}
    assert verdicts(arrays | broken)["minimax_floor"] == FAIL
    broken = {"wasserstein_clip/slope": arrays["wasserstein_clip/slope"] / 2}
    assert verdicts(arrays | broken)["wasserstein_clip_duality"] == FAIL
    away = np.linspace(1, 2, 5)[:, None] + 0.1 * np.random.default_rng(0).random((5, 5))
    broken = {f"{name}/wasserstein": away for name in trainings.METHODS}
    for name in trainings.CRITICS:
        broken |= {f"{name}/value": np.ones((5, 5)), f"{name}/slope": np.ones((5, 5))}
    assert verdicts(arrays | broken)["wasserstein_learns"] == FAIL


def test_pictures_are_drawn_from_arrays_alone_and_the_first_is_the_same_for_all_methods(arrays):
    for name in trainings.METHODS:
        np.testing.assert_array_equal(arrays[f"{name}/map"][0], arrays["minimax/map"][0])
        area = arrays[f"{name}/density"].sum(1) * (arrays["x"][1] - arrays["x"][0])
        assert (area <= 1 + 1e-9).all()
    animation = STUDY.animations(arrays)["gan_1d"]
    assert len(animation.pictures) == len(arrays["step"]) == len(animation.captions)
    assert not np.array_equal(animation.pictures[0], animation.pictures[-1])
    assert set(STUDY.figures(arrays)) == {"moments", "distances", "floors"}
    assert STUDY.notes(arrays)


@pytest.mark.parametrize(
    "wrong", [{"steps": 1}, {"pictures": 2}, {"n_critic": 0}, {"depth": 0}, {"momentum": 1.0}]
)
def test_a_wrong_key_is_named(wrong):
    with pytest.raises(ValueError, match=f"Gan1d.{next(iter(wrong))}"):
        Gan1d(**wrong)
