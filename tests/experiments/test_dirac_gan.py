"""The Dirac-GAN: the table is met, and claims fail when the game is another one."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from gan_lab.experiments.claims import FAIL, PASS
from gan_lab.experiments.dirac_gan import dynamics
from gan_lab.experiments.dirac_gan.dynamics import METHODS, SCHEMES, gradient, trajectories
from gan_lab.experiments.dirac_gan.study import DiracGan, half_digit
from gan_lab.losses import Minimax, NonSaturating
from gan_lab.regularizers import R1, R2
from tests.experiments import helpers

COUNTS = list(SCHEMES.values())
START = (1.0, 1.0)


@pytest.fixture(scope="module")
def arrays(tmp_path_factory):
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield DiracGan(field_points=7).measure(helpers.small_lab(tmp_path_factory.mktemp("dirac"), 1))
    torch.set_num_threads(before)


def verdicts(arrays):
    return helpers.verdicts(DiracGan().claims(arrays))


def with_path(arrays, name, path):
    changed = arrays["path"].copy()
    changed[list(METHODS).index(name)] = path
    return {**arrays, "path": changed}


def test_all_numbers_of_the_table_are_met(arrays):
    found = verdicts(arrays)
    assert len(found) == 27 + 2 + 5
    assert set(found.values()) == {PASS}


@pytest.mark.parametrize("name", ["minimax", "non_saturating"])
def test_with_the_losses_swapped_the_table_is_missed(arrays, name):
    swapped = {"minimax": NonSaturating(), "non_saturating": Minimax()}[name]
    method = dataclasses.replace(METHODS[name], loss=swapped)
    found = verdicts(with_path(arrays, name, trajectories(method, 0.2, COUNTS, START, 500)))
    assert [found[f"{name}_{scheme}"] for scheme in SCHEMES] == [FAIL] * 3


def test_without_the_penalty_r1_does_not_converge(arrays):
    method = dataclasses.replace(METHODS["r1"], regularizers=(R1(weight=0.0),))
    found = verdicts(with_path(arrays, "r1", trajectories(method, 0.2, COUNTS, START, 500)))
    assert found["regularised_converge"] == FAIL
    assert found["r1_simultaneous"] == FAIL


def test_another_jacobian_fails(arrays):
    found = verdicts({**arrays, "jacobian": arrays["jacobian"] * (1 + 1e-6)})
    assert found["jacobians_agree"] == FAIL
    assert found["r1_contracts"] == FAIL


def test_other_settings_are_not_held_against_the_table(arrays):
    claims = DiracGan(steps=100).claims(arrays)
    assert [claim.id for claim in claims if claim.id.startswith("minimax_")] == []
    assert len(claims) == 5


def test_gradients_are_those_of_the_formulas():
    theta, psi = torch.tensor([0.7, -1.2]).double(), torch.tensor([0.4, 0.9]).double()
    fake = torch.sigmoid(-theta * psi)  # the discriminator's probability of "real" at the fake
    formulas = {
        "minimax": (psi * fake, -theta * fake),
        "non_saturating": (psi * (1 - fake), -theta * fake),
        "wasserstein_clip": (psi, -theta),
        "wasserstein": (psi, -theta + 0.7 * (psi.abs() - 1) * psi.sign()),
        "r1": (psi * fake, -theta * fake + 0.3 * psi),
        "r1_critical": (psi * fake, -theta * fake + psi),
        "non_saturating_r1": (psi * (1 - fake), -theta * fake + 0.3 * psi),
    }
    for name, gradients in formulas.items():
        for network, expected in zip(("generator", "discriminator"), gradients, strict=True):
            got = gradient(METHODS[name], network, theta, psi)
            torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-12)


def test_instance_noise_is_the_mean_over_noise():
    theta, psi = torch.tensor([0.7]).double(), torch.tensor([0.4]).double()
    got = gradient(METHODS["instance_noise"], "generator", theta, psi)
    # E psi sigmoid(-psi (theta + .7 e)) by a plain sum over a fine grid of e.
    e = torch.linspace(-9, 9, 20_001, dtype=torch.float64)
    weights = (-e.square() / 2).exp()
    expected = psi * (torch.sigmoid(-psi * (theta + 0.7 * e)) * weights).sum() / weights.sum()
    torch.testing.assert_close(got, expected, rtol=1e-10, atol=0)


def test_the_true_consensus_gradient_is_that_of_the_squared_vector():
    at = torch.tensor([0.7, 0.4], dtype=torch.float64, requires_grad=True)

    def vector(point):
        fake = torch.sigmoid(-point[0] * point[1])
        return torch.stack([point[1] * fake, -point[0] * fake])

    (extra,) = torch.autograd.grad(vector(at).square().sum() / 2, at)
    expected = vector(at).detach() + extra
    theta, psi = at.detach()[:1], at.detach()[1:]
    for network, value in zip(("generator", "discriminator"), expected, strict=True):
        got = gradient(dynamics.TRUE_CONSENSUS, network, theta, psi)
        torch.testing.assert_close(got, value[None], rtol=1e-12, atol=0)


@pytest.mark.parametrize("n", COUNTS)
@pytest.mark.parametrize("name", [n for n, m in METHODS.items() if m.linear is not None])
def test_autograd_and_the_closed_form_agree_on_the_jacobian(name, n):
    automatic, formula = (
        function(METHODS[name], 0.3, n) for function in (dynamics.jacobian, dynamics.linear_step)
    )
    np.testing.assert_allclose(automatic, formula, rtol=0, atol=1e-10)


def test_the_kink_has_no_closed_form():
    with pytest.raises(ValueError, match="no derivative"):
        dynamics.linear_step(METHODS["wasserstein"], 0.2, 0)


def test_r2_does_for_the_fake_what_r1_does_for_the_real():
    # A linear discriminator has one slope, so the two penalties are one.
    r1, r2 = (
        trajectories(dataclasses.replace(METHODS["r1"], regularizers=(r,)), 0.2, [1], START, 20)
        for r in (R1(0.3), R2(0.3))
    )
    np.testing.assert_array_equal(r1, r2)


def test_the_field_is_minus_the_gradients():
    theta, psi = np.meshgrid(np.linspace(-1, 1, 3), np.linspace(-1, 1, 3))
    got = dynamics.field(METHODS["wasserstein_clip"], theta, psi)
    np.testing.assert_array_equal(got, np.stack([-psi, theta]))


def test_half_a_unit_of_the_last_digit():
    for printed, half in (("3.097", 5e-4), (".917", 5e-4), ("5.73e-5", 5e-8), ("2.2e-6", 5e-8)):
        assert math.isclose(half_digit(printed), half, rel_tol=1e-12)


def test_pictures_are_drawn_from_arrays_alone(arrays):
    assert set(DiracGan().figures(arrays)) == {"fields", "eigenvalues", "final_norms"}
    assert len(DiracGan().curves(arrays)) == 27
    assert any("true gradient" in note for note in DiracGan().notes(arrays))
