"""What a perfect discriminator says: identities that hold, and that break when the code does."""

import math

import numpy as np
import pytest
import torch

from gan_lab.experiments.optimal_discriminator import exact, fit
from gan_lab.experiments.optimal_discriminator import study as study_module
from gan_lab.experiments.optimal_discriminator.claims import all_claims, branch, identities
from gan_lab.experiments.optimal_discriminator.study import OptimalDiscriminator
from tests.experiments.helpers import small_lab, swap_generator_losses

TABLE = {  # t: minimax, non-saturating; derived and checked with mpmath and scipy
    0.1: (0.04987531121, 0.0501246888),
    1.0: (0.3979728672, 0.6020271328),
    3.0: (0.2958637533, 2.7041362467),
    10.0: (4.464100214e-6, 9.9999955359),
}
# Identities, without and with the losses of the generators; the latter break when those swap.
OF_BOTH = ("value_at_optimum", "wasserstein_gradient")
OF_LOSSES = (
    *("minimax_loss_at_optimum", "minimax_gradient", "non_saturating_gradient"),
    *("shift_gradients", "own_loss_is_not_its_gradient"),
)


def test_gradients_between_gaussians_are_those_of_the_table():
    found = exact.shift_gradients(list(TABLE))
    for i, (minimax, non_saturating) in enumerate(TABLE.values()):
        assert found["minimax"][i].item() == pytest.approx(minimax, rel=1e-9)
        assert found["non_saturating"][i].item() == pytest.approx(non_saturating, rel=1e-9)
        assert found["wasserstein"][i].item() == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("pair", exact.PAIRS.values(), ids=exact.PAIRS)
def test_js_gradient_agrees_with_differences(pair):
    found = exact.identities(pair)["minimax_gradient"]
    for i in range(pair.dim + 1):
        step = torch.zeros(pair.dim + 1, dtype=torch.float64)
        step[i] = 1e-4
        up, down = (exact.divergences(pair, pair.theta() + s * step)["js"] for s in (1, -1))
        assert found[i].item() == pytest.approx(float((up - down) / 1e-4), abs=1e-7)


def test_the_value_of_a_coin_is_minus_log_4():
    for pair in exact.PAIRS.values():
        coin = torch.zeros(len(exact.grid(pair.dim).points), dtype=torch.float64)
        assert float(exact.value_of(pair, coin)) == pytest.approx(-math.log(4), abs=1e-10)


def test_the_shortfall_is_what_a_wrong_discriminator_loses():
    pair = exact.PAIRS["1d"]
    at = exact.grid(1).points
    best = exact.optimal_logits(pair, at, pair.theta())
    for wrong in (best + 1, 0.5 * best):
        lost = exact.value_of(pair, best) - exact.value_of(pair, wrong)
        assert float(lost) > 0.01
        assert float(exact.shortfall(pair, wrong)) == pytest.approx(float(lost), abs=1e-10)


def quadrature_arrays():
    """What the identities are judged by."""
    parts = {name: exact.identities(pair) for name, pair in exact.PAIRS.items()}
    parts["1d"] |= exact.critic_identity(exact.PAIRS["1d"])
    parts["shift"] = exact.shift_gradients(list(TABLE)) | {"t": torch.tensor(list(TABLE)).double()}
    return {f"{name}/{k}": v.numpy() for name, part in parts.items() for k, v in part.items()}


def verdicts(arrays):
    return {claim.id: claim.verdict for claim in identities(arrays)}


def test_every_identity_holds_and_fails_with_the_generators_losses_swapped(monkeypatch):
    assert verdicts(quadrature_arrays()) == dict.fromkeys((*OF_BOTH, *OF_LOSSES), "pass")
    swap_generator_losses(monkeypatch)
    found = verdicts(quadrature_arrays())
    assert {name for name, verdict in found.items() if verdict == "fail"} == set(OF_LOSSES)


def test_identities_fail_if_the_discriminator_follows_the_generator(monkeypatch):
    follows = exact.generator_loss
    monkeypatch.setattr(exact, "generator_loss", lambda *a: follows(*a[:3]))
    found = verdicts(quadrature_arrays())
    assert found["minimax_gradient"] == found["shift_gradients"] == "fail"
    assert found["minimax_loss_at_optimum"] == "pass"  # its value is the same


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A whole study, small."""
    keys = {"steps": 60, "critic_steps": 60, "batch_size": 64, "width": 16}
    study = OptimalDiscriminator((0.0, 1.0, 10.0), **keys)
    return study, study.measure(small_lab(tmp_path_factory.mktemp("study"), 5))


def test_a_small_study_has_every_claim_picture_and_note(small):
    study, arrays = small
    claims = {claim.id: claim for claim in study.claims(arrays)}
    assert len(claims) == len(study.claims(arrays)) == 20
    for name in ("equilibrium_value", "minimax_vanishes", "shortfall_identity"):
        assert claims[name].verdict == "pass", claims[name]
    assert set(study.figures(arrays)) == {
        *("densities", "identities", "gradients", "slopes", "critic_branches")
    }
    assert len(study.notes(arrays)) == 6
    assert {array.dtype.kind for array in arrays.values()} <= set("fiubU")
    for name in ("1d", "2d"):  # a trained discriminator never beats the best one
        assert (arrays[f"pair_{name}/value"] <= arrays[f"{name}/value"] + 1e-9).all()
        assert (arrays[f"pair_{name}/value"] > -math.log(4)).all()


def test_critics_have_steps_of_their_own(monkeypatch, tmp_path):
    jobs = {}
    monkeypatch.setattr(study_module, "measure_parts", lambda lab, parts: jobs.update(parts) or {})
    OptimalDiscriminator(steps=7, critic_steps=3).measure(small_lab(tmp_path))
    assert {name: job[-1].steps for name, job in jobs.items()} == {
        **dict.fromkeys(("discriminator", "pair_1d", "pair_2d"), 7),
        **dict.fromkeys(("two_sided", "penalty", "clip"), 3),
    }


def test_claims_about_training_fail_on_what_contradicts_them(small):
    _, arrays = small
    broken = {
        "discriminator/minimax": arrays["discriminator/non_saturating"],
        "discriminator/value": arrays["discriminator/value"] + 0.1,
        **{f"penalty/{key}": -arrays[f"penalty/{key}"] for key in ("slope", "value")},
        "two_sided/value": 0 * arrays["two_sided/value"],
    }
    found = {claim.id: claim.verdict for claim in all_claims(arrays | broken)}
    for name in (
        *("minimax_vanishes", "trained_minimax_gradient", "equilibrium_value", "penalty_value"),
        *("penalty_critic_pushes_everywhere", "two_sided_penalty_has_two_maxima"),
    ):
        assert found[name] == "fail", name


def test_branch_tells_both_maxima_and_neither():
    problem = {"two_sided/shifts": np.array([2.0]), "two_sided/value_formula": np.array([2.2103])}
    values = np.array([[2.2, -1.79, 0.0]])
    assert branch(problem | {"two_sided/value": values}).tolist() == [[1, -1, 0]]


def test_a_seeds_critic_does_not_depend_on_its_neighbours_in_the_stack():
    def value(shifts, seeds):
        training = fit.Training(seeds, torch.device("cpu"), 20, batch_size=32, width=8, lr=0.01)
        return fit.critics_of_shifts("penalty", shifts, training)["value"]

    alone, stacked = value([1.0], [1]), value([2.0, 1.0], [0, 1])
    np.testing.assert_allclose(stacked[1, 1], alone[0, 0], rtol=1e-3)
    assert abs(stacked[1, 0] - alone[0, 0]) > 1e-3


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"steps": 0}, "steps=0"),
        ({"critic_steps": 0}, "critic_steps=0"),
        ({"lr": -1.0}, "lr=-1.0"),
        ({"far": 0.0}, "far=0.0"),
        ({"shifts": (0.0, 1.0)}, r"shifts=\[0.0, 1.0\] lacks 10"),
        ({"shifts": (0.0, -1.0, 10.0)}, "shifts=-1.0"),
    ],
)
def test_wrong_keys_are_named(keys, message):
    with pytest.raises(ValueError, match=f"OptimalDiscriminator.{message}"):
        OptimalDiscriminator(**keys)
