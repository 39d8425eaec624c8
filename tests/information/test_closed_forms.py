import json
import math
from dataclasses import asdict
from itertools import pairwise

import mpmath as mp
import numpy as np
import pytest
import torch
from scipy.integrate import fixed_quad, quad
from scipy.special import erfc
from scipy.stats import norm

from gan_lab import information
from gan_lab.information import closed_forms, penalty_bias
from gan_lab.information.closed_forms import (
    gaussian_shift,
    gaussians,
    js_gradient_peak,
    segments,
    segments_sample_wasserstein,
    smoothed_segments,
)
from gan_lab.information.penalty_bias import clipping_gradient_norm_bound, gradient_penalty_value
from tests.information.oracles import f64

LOG2, SQRT2 = math.log(2), math.sqrt(2)


def near(value, relative=1e-9):
    return pytest.approx(float(value), rel=relative, abs=0)


def js_by_definition(mean_p, std_p, mean_q, std_q):
    """(1/2) integral of p log(p/m) + q log(q/m), in 40 digits: no formula of the package."""
    with mp.workdps(40):
        mean_p, std_p, mean_q, std_q = map(mp.mpf, (mean_p, std_p, mean_q, std_q))

        def integrand(x):
            p, q = mp.npdf(x, mean_p, std_p), mp.npdf(x, mean_q, std_q)
            return (p * mp.log(2 * p / (p + q)) + q * mp.log(2 * q / (p + q))) / 2

        cuts = sorted({m + k * s for m, s in ((mean_p, std_p), (mean_q, std_q)) for k in range(-14, 15, 2)})  # fmt: skip # noqa: E501
        return mp.quad(integrand, cuts, maxdegree=5)


def js_gradient_by_definition(t):
    """(t/2) E_{X~N(t,1)} 1/(1 + exp(tX - t^2/2)): as PUBLISHED.md has it."""
    with mp.workdps(30):
        t = mp.mpf(t)
        width = min(mp.mpf(1), 1 / t)  # the integrand's mass is around t/2, not around t

        def integrand(x):
            return mp.npdf(x, t) / (1 + mp.exp(t * x - t * t / 2))

        steps = (1, 2, 3, 5, 7, 10, 15, 20, 30, 40, 60, 80)
        cuts = [t / 2 + k * width for k in (*[-s for s in reversed(steps)], 0, *steps)]
        if t < 10:
            cuts = [t / 2 + k for k in range(-16, 17, 2)]
        return t / 2 * mp.quad(integrand, cuts, maxdegree=6)


# PUBLISHED.md, smoothed segments: t, JS, dJS/dt, minimax, non-saturating, each as printed.
SMOOTHED = [
    ("0.1", ".001248440096", ".02493765560", ".04987531121", ".0501246888"),
    ("1", ".111421482185", ".1989864336", ".3979728672", ".6020271328"),
    ("3", ".526777306521", ".1479318767", ".2958637533", "2.7041362467"),
    ("10", ".693146317394", "2.232050107e-6", "4.464100214e-6", "9.9999955359"),
]


def as_printed(value, text):
    """Equal to the last printed digit; .1479318767 stands there for .14793187664958."""
    mantissa, _, exponent = text.partition("e")
    unit = 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))
    assert abs(value - float(text)) <= 0.505 * unit, (value, text)


@pytest.mark.parametrize("row", SMOOTHED)
def test_the_published_table_of_smoothed_segments(row):
    t, *texts = row
    form = smoothed_segments(float(t), 1.0)
    values = (form.js, form.js_gradient, form.minimax_gradient, form.non_saturating_gradient)
    for value, text in zip(values, texts, strict=True):
        as_printed(value, text)


def test_the_published_peak():
    t, value = js_gradient_peak()
    as_printed(t, "1.63626")
    as_printed(value, ".2336598796")
    for other in (t - 1e-4, t + 1e-4):
        assert smoothed_segments(other, 1.0).js_gradient < value
    by_mpmath = mp.findroot(lambda s: mp.diff(js_gradient_by_definition, s, h=1e-8), 1.6, tol=1e-9)
    assert t == near(by_mpmath, 1e-6)


@pytest.mark.parametrize("t", [1e-6, 1e-3, 0.1, 0.99, 1.0, 1.63626, 3.0, 10.0, 25.0, 60.0])
def test_smoothed_segments_agree_with_independent_quadrature(t):
    form = smoothed_segments(2.0 * t, 2.0)
    assert form.js == near(js_by_definition(0, 1, t, 1))
    assert form.js_gradient == near(js_gradient_by_definition(t))
    assert form.kl == near(t * t / 2, 1e-14)
    assert form.tv == near(mp.erf(mp.mpf(t) / mp.sqrt(8)), 1e-14)
    assert form.wasserstein == 2 * t
    assert form.minimax_gradient == 2 * form.js_gradient
    assert form.non_saturating_gradient == near(t - 2 * js_gradient_by_definition(t))
    assert form.wasserstein_gradient == 1


def test_smoothed_segments_follow_their_asymptotes():
    for t in (1e-6, 1e-4):
        assert smoothed_segments(t, 1.0).js == near(t * t / 8, 1e-7)
        assert smoothed_segments(t, 1.0).js_gradient == near(t / 4, 1e-7)
    # exp(-t^2/8) times a constant: sqrt(pi/8) = integral of sech / (2 sqrt(2 pi)).
    for t in (40.0, 60.0):
        scaled = smoothed_segments(t, 1.0).js_gradient * math.exp(t * t / 8)
        assert scaled == near(math.sqrt(math.pi / 8), 10 / t**2)
    assert smoothed_segments(200.0, 1.0).js == LOG2
    assert smoothed_segments(200.0, 1.0).js_gradient == 0


def test_signs_and_zero_of_smoothed_segments():
    right, left, none = (asdict(smoothed_segments(theta, 0.5)) for theta in (1.0, -1.0, 0.0))
    assert set(none.values()) == {0.0}
    for name, value in right.items():
        assert left[name] == (-value if name.endswith("gradient") else value)


def test_gradients_are_the_derivatives():
    t = f64([1e-3, 0.5, 0.999, 1.001, 2.0, 8.0]).requires_grad_()
    form = smoothed_segments(t, 1.0)
    (slope,) = torch.autograd.grad(form.js.sum(), t)
    torch.testing.assert_close(slope, form.js_gradient, rtol=1e-9, atol=1e-14)
    assert torch.autograd.gradcheck(lambda s: smoothed_segments(s, 0.7).js_gradient, t)


def test_the_objective_at_its_optimal_discriminator_has_the_three_gradients():
    """Independently: E over the fake of the loss at D* of theta, D* held fixed, by differences."""
    t, h = 1.3, 1e-4

    def mean(loss, shift):
        # log-odds of real under D*: log N(x; 0) - log N(x; t).
        return mp.quad(lambda x: mp.npdf(x, t + shift) * loss(t * t / 2 - t * x), mp.linspace(-12, 14, 14))  # fmt: skip # noqa: E501

    form = smoothed_segments(t, 1.0)
    for loss, expected in (
        (lambda z: -mp.log(1 + mp.exp(z)), form.minimax_gradient),
        (lambda z: mp.log(1 + mp.exp(-z)), form.non_saturating_gradient),
    ):
        assert expected == near((mean(loss, h) - mean(loss, -h)) / (2 * h), 1e-7)


def test_segments():
    apart, together = segments(-2.0), segments(0.0)
    assert (apart.js, apart.tv, apart.wasserstein) == (LOG2, 1.0, 2.0)
    assert apart.kl == apart.reverse_kl == math.inf
    assert (apart.js_gradient, apart.minimax_gradient, apart.wasserstein_gradient) == (0, 0, -1)
    assert set(asdict(together).values()) == {0.0}
    # The limit of the blurred ones.
    sharp = smoothed_segments(2.0, 1e-3)
    assert (sharp.js, sharp.tv, sharp.wasserstein) == (apart.js, apart.tv, apart.wasserstein)
    assert sharp.js_gradient == apart.js_gradient


def test_the_published_sample_values_of_segments():
    for n in (1, 64, 1000):
        as_printed(segments_sample_wasserstein(0.0, n) * math.sqrt(n), ".44311")
        assert segments_sample_wasserstein(0.0, n) == near(math.sqrt(math.pi / n) / 4, 1e-13)
    for theta, n in ((1.0, 1000), (2.0, 10**4), (0.5, 10**6)):
        bias = segments_sample_wasserstein(theta, n) - theta
        assert bias == near(1 / (6 * n * theta), 1 / (n * theta**2))


@pytest.mark.parametrize("a", [1e-6, 0.03, 1.0, 20.0])
def test_sample_value_agrees_with_independent_quadrature(a):
    n = 50
    theta = a / math.sqrt(2 * n)

    def over_z(u):
        s = mp.sqrt(2 * u * (1 - u) / n)
        # E sqrt(theta^2 + s^2 Z^2) in Bessel functions.
        k = mp.mpf(theta) ** 2 / (4 * s * s)
        return theta**2 / (s * mp.sqrt(8 * mp.pi)) * mp.exp(k) * (mp.besselk(0, k) + mp.besselk(1, k))  # fmt: skip # noqa: E501

    cuts = [0, 1e-6, 1e-4, 1e-2, 0.1, 0.5]
    expected = 2 * mp.quad(over_z, cuts)
    assert segments_sample_wasserstein(theta, n) == near(expected, 1e-8)


def test_sample_value_agrees_with_simulation():
    rng, n, repeats = np.random.default_rng(0), 100, 400
    for theta in (0.0, 0.05, 0.3):
        heights = np.sort(rng.random((2, repeats, n)), axis=-1)
        # The cost is convex in the difference of heights, so sorted order is optimal.
        costs = np.sqrt(theta**2 + (heights[0] - heights[1]) ** 2).mean(-1)
        error = 4 * costs.std() / math.sqrt(repeats) + 0.02 * theta / n + 0.01 * (costs.mean() - theta)  # fmt: skip # noqa: E501
        assert abs(costs.mean() - segments_sample_wasserstein(theta, n)) < error


PAIRS = [
    (0.0, 1.0, 1.0, 1.0),
    (0.0, 1.0, 0.0, 2.0),
    (0.5, 2.0, -1.0, 0.5),
    (0.0, 1.0, 3.0, 0.01),
    (0.0, 1.0, 1e-6, 1.0),
    (1.0, 1.0, 1.0, 1.000001),
    (5.0, 0.1, 5.02, 0.11),
    (0.0, 1.0, 10.0, 3.0),
]


@pytest.mark.parametrize("pair", PAIRS)
def test_gaussians_agree_with_independent_quadrature(pair):
    form, swapped = gaussians(*pair), gaussians(*pair[2:], *pair[:2])
    assert form.js == near(js_by_definition(*pair))
    m, s, n, r = map(mp.mpf, pair)
    with mp.workdps(40):
        kl = mp.log(r / s) + (s * s + (m - n) ** 2) / (2 * r * r) - mp.mpf(1) / 2
        reverse = mp.log(s / r) + (r * r + (m - n) ** 2) / (2 * s * s) - mp.mpf(1) / 2
    assert form.kl == near(kl)
    assert form.reverse_kl == near(reverse)
    assert form.wasserstein_2 == near(mp.sqrt((m - n) ** 2 + (s - r) ** 2), 1e-10)
    for name in ("js", "tv", "wasserstein", "wasserstein_2"):
        assert getattr(swapped, name) == near(getattr(form, name), 1e-9)
    assert (swapped.kl, swapped.reverse_kl) == (near(form.reverse_kl), near(form.kl))
    tv = integral_of_size(lambda x: mp.npdf(x, m, s) - mp.npdf(x, n, r), pair) / 2
    w1 = integral_of_size(lambda x: mp.ncdf(x, m, s) - mp.ncdf(x, n, r), pair)
    assert form.tv == near(tv)
    assert form.wasserstein == near(w1)


def integral_of_size(difference, pair):
    """Integral of |difference|, split where its sign changes, in 30 digits."""
    with mp.workdps(30):
        pieces = {m + k * s for m, s in (pair[:2], pair[2:]) for k in range(-14, 15)}
        grid = sorted(mp.mpf(float(x)) for x in pieces)
        values = [difference(x) for x in grid]
        roots = [
            mp.findroot(difference, (a, b), solver="anderson", tol=1e-50, verify=False)
            for (a, b), (u, v) in zip(pairwise(grid), pairwise(values), strict=True)
            if u * v < 0
        ]
        return sum(
            abs(mp.quad(difference, [a, b], maxdegree=4)) for a, b in pairwise(sorted(grid + roots))
        )


def test_equal_gaussians_and_agreement_with_smoothed_segments():
    same = gaussians(1.0, 2.0, 1.0, 2.0)
    assert set(asdict(same).values()) == {0.0}
    for theta in (1e-3, 1.0, 5.0, 30.0):
        line, blurred = gaussians(3.0, 2.0, 3.0 + theta, 2.0), smoothed_segments(theta, 2.0)
        assert line.js == near(blurred.js, 1e-9)
        assert line.tv == near(blurred.tv, 1e-9)
        assert line.kl == line.reverse_kl == near(blurred.kl, 1e-9)
        assert line.wasserstein == line.wasserstein_2 == near(theta, 1e-12)


def test_a_shift_in_many_dimensions_is_a_shift_along_one():
    shift = f64([[3.0, 4.0, 0.0], [0.0, 0.0, 0.0]])
    form = gaussian_shift(shift, 2.0)
    for i, theta in enumerate((5.0, 0.0)):
        for name, value in asdict(smoothed_segments(theta, 2.0)).items():
            assert getattr(form, name)[i].item() == pytest.approx(value, rel=1e-12)
    moving = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(gaussian_shift(moving, 1.0).js, moving)
    assert torch.equal(gradient, torch.zeros(3, dtype=torch.float64))
    # KL and TV of a Gaussian shift by sampling the log-ratio would be |shift|^2/2 std^2.
    assert form.kl[0] == 25 / 8


def test_the_published_table_of_the_penaltys_bias():
    for theta, weight, text in ((1, 10, "1.05"), (10, 10, "15"), (1, 0.1, "6")):
        assert gradient_penalty_value(theta, weight).value == near(float(text), 1e-14)
    for t, text in ((0.5, ".5139"), (1, "1.0545"), (2, "2.2103"), (4, "4.8130")):
        as_printed(gradient_penalty_value(t, 10, std=1.0).value, text)
    form = gradient_penalty_value(2.0, 10.0)
    assert (form.wasserstein, form.gradient_norm) == (2.0, 1.1)


@pytest.mark.parametrize("t", [1e-3, 0.5, 4.0, 30.0])
def test_penalty_value_agrees_with_independent_quadrature(t):
    exact = {"epsabs": 0, "epsrel": 1e-11, "limit": 200}

    def density(x):
        middle = min(max(x / t, 0), 1)
        cuts = {min(max(middle + k / t, 0), 1) for k in (-8, -4, -1, 0, 1, 4, 8)}
        return sum(
            quad(lambda m: norm.pdf(x, m * t, math.hypot(m, 1 - m)), a, b, **exact)[0]
            for a, b in pairwise(sorted(cuts | {0, 1}))
        )

    def integrand(x):
        return (0.5 * erfc(-x / SQRT2) - 0.5 * erfc((t - x) / SQRT2)) ** 2 / density(x)

    cuts = sorted({-9, -4, -1, *[k for k in (2, 4, 9) if k < t / 2], t / 2})
    bias = sum(2 * fixed_quad(np.vectorize(integrand), a, b, n=24)[0] for a, b in pairwise(cuts))
    value = gradient_penalty_value(3 * t, 0.7, std=3.0)
    assert value.value == near(3 * t + 9 * bias / 1.4)
    assert value.value - value.wasserstein == near(9 * bias / 1.4, 1e-8)
    assert value.wasserstein == 3 * t
    assert value.gradient_norm == near(1 + 3 * t / 1.4, 1e-14)


def test_two_points_are_the_limit_of_narrow_gaussians():
    points = gradient_penalty_value(2.0, 0.1).value
    for std, tolerance in ((1e-2, 1e-3), (1e-4, 1e-7), (1e-6, 1e-10)):
        assert gradient_penalty_value(2.0, 0.1, std).value == near(points, tolerance)
    assert gradient_penalty_value(0.0, 1.0, std=1.0).value == 0
    assert gradient_penalty_value(-2.0, 0.1).value == points


def test_clipping_bound():
    assert clipping_gradient_norm_bound(0.01, 4, 512) == near(0.01**4 * 512**3)
    as_printed(clipping_gradient_norm_bound(0.01, 4, 512), "1.342")
    assert clipping_gradient_norm_bound(0.01, 4, 512, 2) == near(0.01**4 * 512**3 * math.sqrt(2))
    # A network that attains it: every weight at the bound, every unit on.
    x = f64([[1.0, 1.0, 1.0]]).requires_grad_()
    hidden = torch.relu(x @ torch.full((3, 5), 0.3, dtype=torch.float64))
    hidden = torch.relu(hidden @ torch.full((5, 5), 0.3, dtype=torch.float64))
    value = hidden @ torch.full((5,), 0.3, dtype=torch.float64)
    (slope,) = torch.autograd.grad(value.sum(), x)
    assert slope[0, 0].item() == near(clipping_gradient_norm_bound(0.3, 3, 5), 1e-12)
    assert slope.norm().item() == near(clipping_gradient_norm_bound(0.3, 3, 5, 3), 1e-12)


def test_numbers_in_numbers_out_and_tensors_in_tensors_out():
    theta = f64([[0.0, 0.5, -1.0], [2.0, 3.0, 40.0]])
    calls = [
        segments,
        lambda x: smoothed_segments(x, 0.5),
        lambda x: gaussians(x, 1.0, 0.2, 2.0),
        lambda x: gradient_penalty_value(x, 0.1),
        lambda x: gradient_penalty_value(x, 0.1, std=0.5),
    ]
    for call in calls:
        batched = call(theta)
        for index, value in np.ndenumerate(theta.numpy()):
            single = asdict(call(float(value)))
            json.dumps(single)
            for name, number in single.items():
                assert type(number) is float
                field = getattr(batched, name)
                assert field.shape == theta.shape
                assert field[index].item() == pytest.approx(number, rel=1e-13, abs=1e-300)
    sampled = segments_sample_wasserstein(theta, 10)
    assert sampled[1, 0].item() == near(segments_sample_wasserstein(2.0, 10), 1e-13)
    assert smoothed_segments(theta[:0], 1.0).js.shape == (0, 3)
    assert smoothed_segments(1.0, f64([1.0, 2.0])).js.shape == (2,)
    assert smoothed_segments(theta.float(), 1.0).js.dtype == torch.float64
    assert smoothed_segments(theta[:, None], f64([[1.0], [2.0]])).js.shape == (2, 2, 3)


def test_closed_forms_are_differentiable():
    theta, std = f64([0.4, 2.0]).requires_grad_(), f64([0.7, 1.5]).requires_grad_()
    check = torch.autograd.gradcheck

    def fields(form):
        return tuple(vars(form).values())

    assert check(lambda a, b: fields(gaussians(a, b, 0.1, 1.0)), (theta, std))
    assert check(lambda a, b: fields(smoothed_segments(a, b))[:4], (theta, std))
    assert check(lambda a: segments_sample_wasserstein(a, 5), theta)
    assert check(lambda a, b: gradient_penalty_value(a, b, 1.0).value, (theta, std))
    # Where p = q, the distances have a kink and the divergences a minimum: 0, never nan.
    at = f64([1.0, 2.0, 1.0, 2.0]).requires_grad_()
    for name in ("kl", "reverse_kl", "js", "tv", "wasserstein", "wasserstein_2"):
        (gradient,) = torch.autograd.grad(getattr(gaussians(*at), name), at)
        assert torch.equal(gradient, torch.zeros_like(gradient)), name
    # Equal widths apart: the far root of the densities is at infinity and harms nothing.
    assert check(lambda a: gaussians(0.0, 1.0, a, 1.0).tv, f64([0.5]).requires_grad_())
    wide = f64([1.0]).requires_grad_()
    (slope,) = torch.autograd.grad(gaussians(0.0, 1.0, 0.8, wide).tv.sum(), wide)
    h = 1e-5
    by_differences = (gaussians(0.0, 1.0, 0.8, 1 + h).tv - gaussians(0.0, 1.0, 0.8, 1 - h).tv) / (2 * h)  # fmt: skip # noqa: E501
    assert slope.item() == near(by_differences, 1e-7)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: segments(math.nan), "theta = nan is not finite"),
        (lambda: segments(f64([0.0, math.inf])), r"theta\[1\] = inf is not finite"),
        (lambda: segments_sample_wasserstein(1.0, 0), "n=0 is no number of samples"),
        (lambda: smoothed_segments(math.inf, 1.0), "theta = inf"),
        (lambda: smoothed_segments(1.0, 0.0), "sigma = 0 is not above 0"),
        (lambda: smoothed_segments(1.0, f64([1.0, -1.0])), r"sigma\[1\] = -1 is not above 0"),
        (lambda: smoothed_segments(f64([1.0, 2.0]), f64([1.0] * 3)), "do not broadcast: theta"),
        (lambda: gaussian_shift(f64(1.0), 1.0), "shift has no axis"),
        (lambda: gaussians(0.0, -1.0, 0.0, 1.0), "std_p = -1 is not above 0"),
        (lambda: gaussians(0.0, 1.0, math.nan, 1.0), "mean_q = nan"),
        (lambda: gaussians(0.0, 1.0, 0.0, 0.0), "std_q = 0 is not above 0"),
        (lambda: gradient_penalty_value(1.0, 0.0), "weight = 0 is not above 0"),
        (lambda: gradient_penalty_value(1.0, 1.0, -1.0), "std=-1.0 is not a finite number >= 0"),
        (lambda: gradient_penalty_value(1.0, 1.0, math.nan), "std=nan"),
        (lambda: clipping_gradient_norm_bound(0.0, 4, 512), "bound=0.0"),
        (lambda: clipping_gradient_norm_bound(0.1, 0, 512), "n_layers=0 is below 1"),
        (lambda: clipping_gradient_norm_bound(0.1, 1, 0), "width=0 is below 1"),
        (lambda: clipping_gradient_norm_bound(0.1, 1, 1, 0), "n_inputs=0 is below 1"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_every_public_name_is_exported_by_the_package():
    for module in (closed_forms, penalty_bias):
        for name, value in vars(module).items():
            if getattr(value, "__module__", "") == module.__name__ and name[0] != "_":
                assert name in information.__all__
