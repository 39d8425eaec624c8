"""The zoo's numbers against closed forms and brute force; its claims can fail."""

import dataclasses
import itertools
import math

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from gan_lab import information
from gan_lab.experiments.claims import PASS
from gan_lab.experiments.divergence_zoo import fits, pairs
from gan_lab.experiments.divergence_zoo.claims import distance_claims, fit_claims, pair_claims
from gan_lab.experiments.divergence_zoo.pairs import DISTANCES, PAIRS, QUANTITIES, Line, Mixture
from gan_lab.experiments.divergence_zoo.study import DivergenceZoo
from tests.experiments.helpers import failing

TARGET = Mixture.of((-2.5, 2.5), (0.6, 0.6), (0.6, 0.4))


def named(values):
    return dict(zip(QUANTITIES, values, strict=True))


def brute_force(line):
    """The same by scipy's adaptive quadrature."""

    def density(mixture, x, of=stats.norm.pdf):
        return mixture.weights.numpy() @ of(x, mixture.means.numpy(), mixture.stds.numpy())

    def cdf(mixture, x):
        return density(mixture, x, of=stats.norm.cdf)

    def integral(f):
        edges = np.linspace(-14, 14, 57)
        return sum(integrate.quad(f, a, b, epsabs=1e-12)[0] for a, b in itertools.pairwise(edges))

    def kl(a, b):
        return integral(lambda x: density(a, x) * math.log(density(a, x) / density(b, x)))

    p, q = line.p, line.q
    means, stds = torch.cat([p.means, q.means]), torch.cat([p.stds, q.stds])
    half = Mixture(means, stds, torch.cat([p.weights, q.weights]) / 2)
    return {
        "entropy_p": integral(lambda x: -density(p, x) * math.log(density(p, x))),
        "kl": kl(p, q),
        "reverse_kl": kl(q, p),
        "js": (kl(p, half) + kl(q, half)) / 2,
        "tv": integral(lambda x: abs(density(p, x) - density(q, x))) / 2,
        "w1": integral(lambda x: abs(cdf(p, x) - cdf(q, x))),
    }


def test_mixtures_agree_with_brute_force_and_slopes_with_finite_differences():
    line = Line(Mixture.of((-2.0, 1.5), (0.9, 0.7), (0.3, 0.7)), Mixture.of((0.4,), (1.3,)))
    got = named(line.values())
    for name, expected in brute_force(line).items():
        assert got[name] == pytest.approx(expected, abs=1e-8), name
    step = 1e-4
    ahead, back = (
        Line(line.p, dataclasses.replace(line.q, means=line.q.means + by)).values()[3:]
        for by in (step, -step)
    )
    slopes = np.subtract(ahead, back) / (2 * step)
    np.testing.assert_allclose(line.shift_gradients(), slopes, atol=1e-6)


def test_equal_distributions_are_at_distance_0():
    p = Mixture.of((-1.0, 2.0), (0.5, 1.0), (0.5, 0.5))
    values = named(Line(p, p).values())
    for name in DISTANCES:
        assert values[name] == pytest.approx(0, abs=1e-12)


def test_discrete_values_are_those_of_the_formulas():
    coins = named(PAIRS["coins"].values())
    assert coins["kl"] == pytest.approx(-math.log(0.6), abs=1e-12)
    assert coins["tv"] == pytest.approx(0.4, abs=1e-12)
    apart = named(PAIRS["disjoint"].values())
    assert apart["kl"] == apart["reverse_kl"] == apart["cross_entropy"] == math.inf
    assert apart["js"] == pytest.approx(math.log(2), abs=1e-12)
    assert apart["w1"] == pytest.approx(3, abs=1e-12)


def test_a_discrete_shift_has_a_slope_in_w1_alone():
    np.testing.assert_array_equal(PAIRS["disjoint"].shift_gradients(), [np.nan, np.nan, 0, 0, 1])
    # From the other side W1 falls.
    swapped = dataclasses.replace(PAIRS["disjoint"], p=PAIRS["disjoint"].q, q=PAIRS["disjoint"].p)
    assert swapped.shift_gradients()[-1] == -1


def test_far_apart_only_kl_and_w1_have_slopes():
    slopes = dict(zip(DISTANCES, PAIRS["far_apart"].shift_gradients(), strict=True))
    assert slopes["w1"] == pytest.approx(1, abs=1e-9)
    assert slopes["kl"] == pytest.approx(200, rel=1e-9)
    assert slopes["js"] == pytest.approx(0, abs=1e-12)


def arrays_of_distance():
    return fits.blocks_part() | fits.gaussians_part()


def test_distance_claims_hold():
    assert {claim.verdict for claim in distance_claims(arrays_of_distance())} == {PASS}


JS, KL, TV = information.js_divergence, information.kl_divergence, information.total_variation


@pytest.mark.parametrize(
    ("name", "wrong", "found"),
    [
        ("js_divergence", lambda p, q: 2 * JS(p, q), {"js_of_overlap", "js_is_blind"}),
        ("kl_divergence", lambda p, q: KL(p, q).clamp_max(1e6), {"kl_is_infinite"}),
        ("wasserstein_1", lambda p, q, x: TV(p, q), {"w1_is_the_distance"}),
    ],
)
def test_a_doubled_js_a_clipped_kl_and_a_w1_without_positions_are_found(
    monkeypatch, name, wrong, found
):
    monkeypatch.setattr(information, name, wrong)
    assert failing(distance_claims(arrays_of_distance())) == found


def fitted(target=TARGET):
    arrays = fits.fits_part(target, (0.5, 1.0, 1.5), 250)
    arrays["fits/table"] = fits.table(target, arrays)
    for name in ("means", "stds", "weights"):
        arrays[f"target/{name}"] = getattr(target, name).numpy()
    return arrays


def test_fits_do_what_theory_says_and_agree_with_the_quadrature_of_the_pairs():
    arrays = fitted()
    assert {claim.verdict for claim in fit_claims(arrays)} == {PASS}
    own = [arrays[f"fits/{name}_loss"][1].min() for name in fits.FIT_DIVERGENCES]
    np.testing.assert_allclose(np.diag(arrays["fits/table"]), own, rtol=1e-4)


def test_fits_do_not_depend_on_the_unit():
    factor = 1000.0
    scaled = Mixture(factor * TARGET.means, factor * TARGET.stds, TARGET.weights)
    one, other = (fits.fits_part(target, (1.0,), 250) for target in (TARGET, scaled))
    for name in fits.FIT_DIVERGENCES:
        unit, loss, mean = factor if name == "w1" else 1, f"fits/{name}_loss", f"fits/{name}_mean"
        np.testing.assert_allclose(other[loss], unit * one[loss], rtol=1e-6)
        np.testing.assert_allclose(other[mean], factor * one[mean], rtol=1e-5)


def test_swapped_kl_directions_are_found(monkeypatch):
    swapped = {"kl": fits._reverse_kl, "reverse_kl": fits._kl}
    monkeypatch.setattr(fits, "_LOSSES", fits._LOSSES | swapped)
    assert failing(fit_claims(fitted())) >= {
        *("forward_kl_mean", "forward_kl_std", "reverse_kl_sits_on_a_mode"),
        *("reverse_kl_pays_the_weight", "each_fit_is_best_in_its_own"),
    }


def test_nothing_is_claimed_of_modes_that_touch():
    claims = fit_claims(fitted(Mixture.of((-1.0, 1.0), (0.6, 0.6), (0.6, 0.4))))
    assert "reverse_kl_sits_on_a_mode" not in {claim.id for claim in claims}
    assert failing(claims) == set()


def test_a_wrong_quadrature_is_found(monkeypatch):
    monkeypatch.setattr(pairs, "js_integrand", lambda z: z.square() / 8)
    names = ("shifted", "wider")
    arrays = {
        "pairs/name": np.array(names),
        "pairs/values": np.array([PAIRS[name].values() for name in names]),
        "pairs/slopes": np.array([PAIRS[name].shift_gradients() for name in names]),
        **{f"random/{n}": np.zeros((1, 1)) for n in ("js_over_log_2", "pinsker", "triangle")},
    }
    assert failing(pair_claims(arrays)) == {"quadrature"}


def test_a_pair_of_ones_own():
    study = DivergenceZoo(pairs=(), p=(0.5, 0.5), q=(0.9, 0.1), x=(0, 3))
    assert named(study._own().values())["w1"] == pytest.approx(1.2, abs=1e-12)
    study = DivergenceZoo(p_means=(0, 1), p_stds=(1, 1), q_means=(0.5,), q_stds=(1,))
    assert study._own().p.weights.tolist() == [0.5, 0.5]
