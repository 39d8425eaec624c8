"""The zoo's numbers against closed forms and brute force; its claims can fail."""

import dataclasses
import itertools
import math

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from gan_lab import information
from gan_lab.experiments.claims import FAIL, PASS
from gan_lab.experiments.divergence_zoo import fits, pairs
from gan_lab.experiments.divergence_zoo.claims import distance_claims, fit_claims, pair_claims
from gan_lab.experiments.divergence_zoo.pairs import DISTANCES, PAIRS, QUANTITIES, Line, Mixture
from gan_lab.experiments.divergence_zoo.study import DivergenceZoo

TARGET = Mixture.of((-2.5, 2.5), (0.6, 0.6), (0.6, 0.4))


def failing(claims):
    return {claim.id for claim in claims if claim.verdict == FAIL}


def named(values):
    return dict(zip(QUANTITIES, values, strict=True))


def brute_force(line):
    """The same by scipy's adaptive quadrature."""

    def density(mixture, x):
        return mixture.weights.numpy() @ stats.norm.pdf(x, *moments(mixture))

    def cdf(mixture, x):
        return mixture.weights.numpy() @ stats.norm.cdf(x, *moments(mixture))

    def moments(mixture):
        return mixture.means.numpy(), mixture.stds.numpy()

    def integral(f):
        edges = np.linspace(-14, 14, 57)
        return sum(integrate.quad(f, a, b, epsabs=1e-12)[0] for a, b in itertools.pairwise(edges))

    def kl(a, b):
        return integral(lambda x: density(a, x) * math.log(density(a, x) / density(b, x)))

    p, q = line.p, line.q
    half = Mixture(
        *(torch.cat([getattr(p, n), getattr(q, n)]) for n in ("means", "stds", "weights"))
    )
    half = dataclasses.replace(half, weights=half.weights / 2)
    return {
        "entropy_p": integral(lambda x: -density(p, x) * math.log(density(p, x))),
        "kl": kl(p, q),
        "reverse_kl": kl(q, p),
        "js": (kl(p, half) + kl(q, half)) / 2,
        "tv": integral(lambda x: abs(density(p, x) - density(q, x))) / 2,
        "w1": integral(lambda x: abs(cdf(p, x) - cdf(q, x))),
    }


def test_mixtures_agree_with_brute_force():
    line = Line(Mixture.of((-2.0, 1.5), (0.9, 0.7), (0.3, 0.7)), Mixture.of((0.4,), (1.3,)))
    got = named(line.values())
    for name, wanted in brute_force(line).items():
        assert got[name] == pytest.approx(wanted, abs=1e-8), name


def test_slopes_agree_with_finite_differences():
    p, q = Mixture.of((-2.0, 1.5), (0.9, 0.7), (0.3, 0.7)), Mixture.of((0.4,), (1.3,))
    step = 1e-4

    def moved(by):
        return np.array(Line(p, dataclasses.replace(q, means=q.means + by)).values()[3:])

    wanted = (moved(step) - moved(-step)) / (2 * step)
    np.testing.assert_allclose(Line(p, q).shift_gradients(), wanted, atol=1e-6)


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
    slopes = PAIRS["disjoint"].shift_gradients()
    assert math.isnan(slopes[0])
    assert math.isnan(slopes[1])
    assert slopes[2:] == [0, 0, 1]
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


def test_a_js_without_its_half_is_found(monkeypatch):
    right = information.js_divergence
    monkeypatch.setattr(information, "js_divergence", lambda p, q: 2 * right(p, q))
    assert failing(distance_claims(arrays_of_distance())) == {"js_of_overlap", "js_is_blind"}


def test_a_clipped_kl_is_found(monkeypatch):
    right = information.kl_divergence
    monkeypatch.setattr(information, "kl_divergence", lambda p, q: right(p, q).clamp_max(1e6))
    assert failing(distance_claims(arrays_of_distance())) == {"kl_is_infinite"}


def test_a_w1_that_forgets_positions_is_found(monkeypatch):
    monkeypatch.setattr(
        information, "wasserstein_1", lambda p, q, x: information.total_variation(p, q)
    )
    assert failing(distance_claims(arrays_of_distance())) == {"w1_is_the_distance"}


def fitted(target=TARGET):
    arrays = fits.fits_part(target, (0.5, 1.0, 1.5), 250)
    arrays["fits/table"] = fits.table(target, arrays)
    for name in ("means", "stds", "weights"):
        arrays[f"target/{name}"] = getattr(target, name).numpy()
    return arrays


@pytest.fixture(scope="module")
def fit():
    return fitted()


def test_fits_do_what_theory_says(fit):
    assert {claim.verdict for claim in fit_claims(fit)} == {PASS}


def test_fits_do_not_depend_on_the_unit():
    factor = 1000.0
    scaled = Mixture(factor * TARGET.means, factor * TARGET.stds, TARGET.weights)
    one, other = (fits.fits_part(target, (1.0,), 250) for target in (TARGET, scaled))
    for name in fits.FIT_DIVERGENCES:
        unit = factor if name == "w1" else 1
        np.testing.assert_allclose(
            other[f"fits/{name}_loss"], unit * one[f"fits/{name}_loss"], rtol=1e-6
        )
        np.testing.assert_allclose(
            other[f"fits/{name}_mean"], factor * one[f"fits/{name}_mean"], rtol=1e-5
        )


def test_swapped_kl_directions_are_found(monkeypatch):
    monkeypatch.setattr(
        fits, "_LOSSES", fits._LOSSES | {"kl": fits._reverse_kl, "reverse_kl": fits._kl}
    )
    found = failing(fit_claims(fitted()))
    assert found >= {
        *("forward_kl_mean", "forward_kl_std", "reverse_kl_sits_on_a_mode"),
        *("reverse_kl_pays_the_weight", "each_fit_is_best_in_its_own"),
    }


def test_nothing_is_claimed_of_modes_that_touch():
    close = Mixture.of((-1.0, 1.0), (0.6, 0.6), (0.6, 0.4))
    claims = fit_claims(fitted(close))
    assert "reverse_kl_sits_on_a_mode" not in {claim.id for claim in claims}
    assert failing(claims) == set()


def test_every_kind_of_fit_agrees_with_the_quadrature_of_the_pairs(fit):
    own = [fit[f"fits/{name}_loss"][1].min() for name in fits.FIT_DIVERGENCES]
    np.testing.assert_allclose(np.diag(fit["fits/table"]), own, rtol=1e-4)


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


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"pairs": ("coin",)}, "unknown 'coin'"),
        ({"pairs": ()}, "nothing to compare"),
        ({"p": (0.5, 0.5)}, "not two lists of one length"),
        ({"p": (0.5, 0.6), "q": (0.5, 0.5)}, r"DivergenceZoo\.p=.* is no distribution"),
        ({"p": (0.5, 0.5), "q": (0.5, 0.5), "x": (1.0,)}, "one position for each"),
        ({"p": (0.5, 0.5), "q": (0.5, 0.5), "q_means": (1.0,)}, "either discrete"),
        ({"p": ("a", "b"), "q": (0.5, 0.5)}, "not a list of numbers"),
        ({"p_means": (0.0,), "p_stds": (1.0,)}, r"DivergenceZoo\.q_stds=None"),
        ({"p_means": (0.0,), "p_stds": (0.0,), "q_means": (0.0,), "q_stds": (1.0,)}, "> 0"),
        ({"target_weights": (0.5, 0.6)}, r"target_weights=\[0.5, 0.6\] is no distribution"),
        ({"n_scales": 4}, "n_scales=4 is even"),
        ({"n_scales": 1}, "n_scales=1 is not a whole number >= 3"),
    ],
)
def test_a_bad_key_is_named(keys, says):
    with pytest.raises(ValueError, match=says):
        DivergenceZoo(**keys)


def test_a_pair_of_ones_own():
    study = DivergenceZoo(pairs=(), p=(0.5, 0.5), q=(0.9, 0.1), x=(0, 3))
    assert named(study._own().values())["w1"] == pytest.approx(1.2, abs=1e-12)
    study = DivergenceZoo(p_means=(0, 1), p_stds=(1, 1), q_means=(0.5,), q_stds=(1,))
    assert study._own().p.weights.tolist() == [0.5, 0.5]
