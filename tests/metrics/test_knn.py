"""KL, entropy and JS from neighbours: closed forms, invariances, and what has no density."""

import math

import numpy as np
import pytest
import torch
from scipy import special

from gan_lab.data.digits import Digits
from gan_lab.information import closed_forms
from gan_lab.metrics.knn import knn_entropy, knn_js, knn_kl
from gan_lab.metrics.memo import memo
from gan_lab.selfcheck import expectations
from tests.helpers import normal, seeded


def mean_and_error(values):
    return float(np.mean(values)), 5 * float(np.std(values, ddof=1)) / math.sqrt(len(values))


def rotation(d, seed):
    return torch.linalg.qr(normal(d, d, seed=seed))[0]


@pytest.mark.parametrize("d", [1, 2, 16, 20])
def test_kl_is_invariant_under_common_similarities(d):
    p, q = normal(60, d, seed=1), 1 + normal(70, d, seed=2)
    expected = knn_kl(p, q)
    turn = 3.7 * rotation(d, seed=3)
    assert knn_kl(p @ turn - 5, q @ turn - 5) == pytest.approx(expected, abs=1e-9)


def test_kl_follows_the_formula_by_hand():
    p, q = torch.tensor([[0.0], [1.0], [3.0]]), torch.tensor([[0.5], [5.0]])
    # rho 1, 1, 2; nu .5, .5, 2; m = 2, n = 3.
    expected = math.log(0.5 * 0.5 * 2 / (1 * 1 * 2)) / 3 + math.log(2 / 2)
    assert knn_kl(p, q, k=1) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("d", [1, 2, 16])
@pytest.mark.parametrize(("shift", "std"), [(2.0, 1.0), (0.5, 2.0), (0.0, 1.0)])
def test_kl_of_gaussians_has_the_expectation_that_quadrature_says(d, shift, std):
    values = []
    for seed in range(60):
        fake = std * normal(100, d, seed=seed + 5000)
        fake[:, 0] += shift
        values.append(knn_kl(normal(100, d, seed=seed), fake))
    mean, error = mean_and_error(values)
    assert mean == pytest.approx(expectations.knn_kl(100, 4, d, shift, std), abs=error)


@pytest.mark.parametrize(("shift", "std"), [(1.0, 2.0), (0.0, 1.0)])
def test_kl_converges_to_the_closed_form_on_the_line(shift, std):
    value = expectations.knn_kl(200_000, 4, 1, shift, std)
    assert value == pytest.approx(closed_forms.gaussians(0.0, 1.0, shift, std).kl, abs=0.002)


@pytest.mark.parametrize("d", [2, 20])
def test_coincidence_is_infinite_or_undefined_and_never_a_number(d):
    p, q = normal(30, d, seed=1), normal(30, d, seed=2)
    assert knn_kl(p[:1].expand(30, d), q) == math.inf  # a point has no density
    assert math.isnan(knn_kl(p, p, k=1))  # a copy
    assert math.isnan(knn_kl(p[:1].expand(30, d), p[:1].expand(30, d)))
    assert knn_entropy(p[:1].expand(30, d)) == -math.inf


@pytest.mark.parametrize("d", [1, 2, 16, 20])
@pytest.mark.parametrize("noise", [0.0, 1e-9])
def test_a_copy_is_undefined_and_repeated_samples_have_no_density(d, noise):
    def again(x):
        return x + noise * normal(*x.shape, seed=5)

    p, q = normal(200, d, seed=1), normal(200, d, seed=2)
    assert math.isnan(knn_kl(p, again(p)))  # every point once, in any order
    assert math.isnan(knn_kl(p, again(p).flip(0)))
    twice = torch.cat([p[:100], again(p[:100])])
    assert knn_kl(twice, q) == math.inf
    assert math.isnan(knn_kl(q, twice))
    assert knn_entropy(twice) == -math.inf
    # A generator that draws from a list of 1000 samples: a third of 200 draws have a twin.
    listed = normal(1000, d, seed=3)[torch.randint(1000, (200,), generator=seeded(4))]
    assert knn_kl(again(listed), q) == math.inf
    assert math.isnan(knn_kl(q, again(listed)))


@pytest.mark.parametrize("d", [1, 2])
def test_few_ties_shift_kl_by_what_they_hide(d):
    # The 4th other point of a pair is the 3rd of its neighbours: d log(rho_4 / rho_3) is 1/3 nat
    # on average, for 10 of 205 samples.
    shifts, n_tied = [], 5
    for seed in range(60):
        p, q = normal(200, d, seed=seed), normal(200, d, seed=seed + 500)
        tied = torch.cat([p, p[:n_tied]])
        shifts.append(knn_kl(tied, q) - knn_kl(p, q))
        assert math.isfinite(knn_entropy(tied))
        assert math.isfinite(knn_kl(q, tied))
        assert knn_kl(torch.cat([p, p[: n_tied + 1]]), q) == math.inf  # 5.8 %
    mean, error = mean_and_error(shifts)
    assert mean == pytest.approx(10 / 205 / 3, abs=error)
    assert error < 10 / 205 / 3


def test_real_digits_have_no_ties_and_rounded_data_are_not_of_a_density():
    source = Digits().open(torch.device("cpu"))
    a, b = source.held_out(500, seeded(0)).flatten(1).double().tensor_split(2)
    assert math.isfinite(knn_kl(a, b))
    x, y = (normal(300, 2, seed=seed).mul(4).round().div(4) for seed in (1, 2))  # a grid
    assert math.isnan(knn_kl(x, y))
    assert knn_kl(x, normal(300, 2, seed=3)) == math.inf
    assert math.isnan(knn_kl(normal(300, 2, seed=3), x))
    assert -0.1 < knn_js(x, y) < 0.02


def test_what_is_shared_within_a_draw_changes_no_number():
    x, y = normal(200, 2, seed=1), normal(200, 2, seed=2)
    values = (knn_kl(x, y), knn_kl(y, x), knn_entropy(x))
    with memo():
        assert (knn_kl(x, y), knn_kl(y, x), knn_entropy(x)) == values
        assert math.isnan(knn_kl(x, x))  # the same object on both sides is a copy, too


@pytest.mark.parametrize("d", [2, 16])
@pytest.mark.parametrize(
    ("p", "q", "truth"), [((0.8, 0.2), (0.3, 0.7), 0.1325), ((0.5, 0.5), (0.5, 0.5), 0.0)]
)
def test_js_of_discrete_data_is_a_lower_bound_that_comes_near(d, p, q, truth):
    where, draws = normal(2, d, seed=1), np.random.default_rng(0)
    values = [
        knn_js(*(where[draws.choice(2, 300, p=shares)] for shares in (p, q))) for _ in range(30)
    ]
    mean, error = mean_and_error(values)
    assert truth - 0.04 < mean < truth + error


@pytest.mark.parametrize("d", [2, 20])
@pytest.mark.parametrize("k", [10, 40])
def test_js_of_a_copy_is_minus_one_over_k(d, k):
    x = normal(500, d, seed=1)
    assert knn_js(x, x.clone(), k) == pytest.approx(-1 / k, rel=0.1)


@pytest.mark.parametrize(("d", "std"), [(1, 1.0), (1, 0.01), (2, 3.0)])
def test_entropy_of_a_gaussian(d, std):
    values = [knn_entropy(std * normal(400, d, seed=s)) for s in range(40)]
    mean, error = mean_and_error(values)
    assert mean == pytest.approx(expectations.knn_entropy(400, 4, d, std), abs=error)
    assert mean == pytest.approx(expectations.entropy(d, std), abs=0.05)


def test_entropy_follows_scale_and_ignores_turns():
    x = normal(80, 3, seed=1)
    h = knn_entropy(x)
    assert knn_entropy(2 * x) == pytest.approx(h + 3 * math.log(2), abs=1e-10)
    assert knn_entropy(x @ rotation(3, 2) + 1) == pytest.approx(h, abs=1e-10)


def test_entropy_follows_the_formula_by_hand():
    x = torch.tensor([[0.0], [1.0], [3.0]])
    expected = special.digamma(3) - special.digamma(1) + math.log(2) + math.log(2) / 3
    assert knn_entropy(x, k=1) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("d", [1, 2, 20])
def test_js_is_symmetric_and_at_most_log_2(d):
    for seed in range(5):
        a, b = normal(60, d, seed=seed), seed + normal(60, d, seed=seed + 9)
        value = knn_js(a, b)
        assert value <= math.log(2)
        assert knn_js(b, a) == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize("d", [2, 20])
def test_js_of_disjoint_samples_is_log_2_but_for_the_votes(d):
    a, b = normal(50, d, seed=1), 1000 + normal(50, d, seed=2)
    assert knn_js(a, b, k=9) == pytest.approx(math.log(2) - math.log(10 / 9.5), abs=1e-12)
    assert knn_js(a, b) == pytest.approx(math.log(2) - math.log(11 / 10.5), abs=1e-12)


@pytest.mark.parametrize("shift", [0.0, 0.5, 1.0, 2.0, 3.0])
@pytest.mark.parametrize("d", [1, 3])
def test_js_is_a_lower_bound_in_expectation(shift, d):
    values = []
    for seed in range(30):
        fake = normal(150, d, seed=seed + 777)
        fake[:, 0] += shift
        values.append(knn_js(normal(150, d, seed=seed), fake))
    mean, error = mean_and_error(values)
    truth = closed_forms.smoothed_segments(shift, 1.0).js
    assert truth - 0.1 < mean < truth + error


def test_js_finds_a_points_own_index_among_its_copies():
    a = torch.zeros(20, 2)
    # All neighbours are equally far: whatever votes, the loss is that of some guess, and finite.
    assert math.isfinite(knn_js(a, a.clone(), k=3))


def test_wrong_k_sizes_dimensions_and_nan_are_refused():
    a = normal(10, 2, seed=1)
    bad = a.clone()
    bad[3, 0] = math.nan
    for call, message in (
        (lambda: knn_kl(a, a + 1, k=0), "k=0 neighbours"),
        (lambda: knn_kl(a, a + 1, k=10), "k=10 neighbours"),
        (lambda: knn_js(a, a + 1, k=20), "k=20 neighbours"),
        (lambda: knn_entropy(a, k=10), "k=10 neighbours"),
        (lambda: knn_kl(a, normal(10, 3, seed=1)), "2 and 3 dimensions"),
        (lambda: knn_js(a, a[:9]), "10 real and 9 fake"),
        (lambda: knn_kl(a, bad), "non-finite"),
        (lambda: knn_entropy(bad), "non-finite"),
        (lambda: knn_js(bad, a), "non-finite"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
