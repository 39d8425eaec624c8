"""Critics that are clipped and penalised: what is measured of them, and claims that can fail."""

import numpy as np
import pytest
import torch

from gan_lab.experiments.critic_surfaces import critics, transport
from gan_lab.experiments.critic_surfaces.claims import all_claims, log_growth
from gan_lab.experiments.critic_surfaces.study import CriticSurfaces
from gan_lab.metrics.wasserstein import exact_wasserstein
from gan_lab.regularizers import GradientPenalty, WeightClipping
from tests.experiments.helpers import failing, small_lab
from tests.helpers import CPU


def design(regularizer, **more):
    keys = {"layers": 3, "width": 16, "steps": 5, "batch_size": 32, "lr": 1e-3}
    return critics.Design(regularizer, **{**keys, **more})


def test_norms_by_layer_are_those_of_autograd_through_the_game():
    d = design(GradientPenalty(), layers=4).critics([0, 1], CPU)
    generator = torch.Generator().manual_seed(0)
    real, fake = torch.randn(2, 2, 64, 2, generator=generator)
    norms = critics.activation_gradients(d, real, fake)
    assert norms.shape == (2, 4)
    # By the last hidden layer h the critic is w h + b: d loss / d h is -+w/N for each sample.
    last = [leaf for name, leaf in d.network.params.items() if name.endswith("weight")][-1]
    expected = last.detach()[:, 0].double().norm(dim=1) * (2 / 64) ** 0.5
    torch.testing.assert_close(norms[:, -1], expected)
    # One layer back: the active units only, by hand.
    leaves = [leaf.detach()[0].double() for leaf in d.network.params.values()]
    h = torch.cat([real[0], fake[0]]).double()
    active = []
    for weight, bias in zip(leaves[:-2:2], leaves[1:-2:2], strict=True):
        h = (h @ weight.T + bias).relu()
        active.append((h > 0).double())
    by_last = torch.cat([-leaves[-2].expand(64, -1), leaves[-2].expand(64, -1)]) / 64
    by_third = (by_last * active[-1]) @ leaves[-4]
    torch.testing.assert_close(norms[0, -2], by_third.norm())


def test_log_slope_of_a_known_decay():
    arrays = {"deep/x/norms": np.array([10.0 ** (0.3 * np.arange(12)), np.full(12, 7.0)])}
    np.testing.assert_allclose(log_growth(arrays, "x"), [0.3, 0.0], atol=1e-12)


def test_the_potential_is_1_lipschitz_and_its_value_is_w1():
    generator = torch.Generator().manual_seed(0)
    real = torch.randn(128, 2, generator=generator)
    fake = torch.randn(128, 2, generator=generator) + 1
    f = transport._potential(real, fake)
    value = float(f(real).mean() - f(fake).mean())
    assert value == pytest.approx(exact_wasserstein(real, fake), rel=1e-7)
    points = transport.plane()[::37]
    gaps = (f(points)[:, None] - f(points)).abs() - torch.cdist(points.double(), points.double())
    assert float(gaps.max()) <= 1e-9


def test_points_lie_on_the_data_and_between():
    for name, (on, off) in transport.points_on_and_off().items():
        density = transport.DATA[name].log_density
        assert float(density(on.double()).min()) > float(density(off.double()).max()) + 3, name


def test_weights_are_clipped_after_the_update_and_counted():
    found = critics.deep(design(WeightClipping(0.05), reach=0.05), [0], CPU)
    assert found["at_bounds_first"][0] < found["at_bounds"][0] < 1
    assert np.abs(found["edges"]).max() < 0.0501
    assert found["histogram"].sum() == pytest.approx(1, abs=1e-5)
    assert found["histogram"][[0, -1]].sum() == pytest.approx(found["at_bounds"][0], abs=0.05)
    assert np.isnan(critics.deep(design(GradientPenalty()), [0], CPU)["at_bounds"]).all()


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A whole study, small."""
    study = CriticSurfaces(steps=30, deep_steps=20, width=32, n_transport=128)
    return study, study.measure(small_lab(tmp_path_factory.mktemp("study"), 5))


def test_a_small_study_has_every_claim_picture_and_note(small):
    study, arrays = small
    claims = {claim.id: claim for claim in study.claims(arrays)}
    assert len(claims) == len(study.claims(arrays)) == 17
    for name in ("small_bound_vanishes", "weights_at_bounds_2", "clip_value_ring"):
        assert claims[name].verdict == "pass", claims[name]
    assert set(study.figures(arrays)) == {"surfaces", "gradient_norms", "weights", "values"}
    assert len(study.notes(arrays)) == 6
    assert {array.dtype.kind for array in arrays.values()} <= set("fiubU")


def test_claims_fail_on_what_contradicts_them(small):
    _, arrays = small
    # The bounds swapped: what explodes vanishes. The clipped critic as good as the penalised one.
    swapped = {
        **arrays,
        "deep/clip_0/norms": arrays["deep/clip_2/norms"],
        "deep/clip_2/norms": arrays["deep/clip_2/norms"][:, ::-1],
        "clip/value": 10 * arrays["one_sided/value"],
        "light/value": 0.01 * arrays["light/value"],
        "one_sided/value": 5 * arrays["one_sided/value"] + 5,
        "one_sided/contrast": arrays["clip/contrast"] - 1,
        "inside/at_bounds": 0.1 * arrays["inside/at_bounds"],
    }
    assert failing(all_claims(swapped)) >= {
        *("large_bound_explodes", "small_bound_vanishes", "clip_value_ring", "light_value_ring"),
        *("penalty_value_ring", "clipping_ignores_modes", "weights_driven_to_bounds"),
    }
    flat = {**arrays, "deep/penalty/norms": arrays["deep/clip_2/norms"]}
    assert "penalty_keeps_gradients" in failing(all_claims(flat))
