"""W1 is exact and sliced W1 its mean over lines: closed forms, scipy, axioms of a distance."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import wasserstein_distance, wasserstein_distance_nd

from gan_lab.metrics.wasserstein import as_points, exact_wasserstein, sliced_wasserstein
from gan_lab.selfcheck.expectations import projection_share, wasserstein_floor
from tests.helpers import normal, seeded


@pytest.mark.parametrize("d", [1, 2, 5])
@pytest.mark.parametrize("size", [1e-3, 0.7, 100.0])
def test_w1_of_a_shift_is_the_shift(d, size):
    points = normal(40, d, seed=d)
    direction = normal(d, seed=11)
    shift = size * direction / direction.norm()
    assert exact_wasserstein(points + shift, points) == pytest.approx(size, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("n", [1, 2, 17, 200])
def test_w1_on_the_line_is_scipys(n):
    a, b = normal(n, 1, seed=1), 2 * normal(n, 1, seed=2) + 1
    expected = wasserstein_distance(a[:, 0], b[:, 0])
    assert exact_wasserstein(a, b) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("n", [1, 3, 6])
def test_w1_is_the_linear_programs(d, n):
    a, b = normal(n, d, seed=n), normal(n, d, seed=n + 50)
    assert exact_wasserstein(a, b) == pytest.approx(wasserstein_distance_nd(a, b), abs=1e-9)


def test_images_are_points_of_all_their_entries():
    a, b = normal(9, 1, 4, 4, seed=1), normal(9, 1, 4, 4, seed=2)
    assert exact_wasserstein(a, b) == exact_wasserstein(a.flatten(1), b.flatten(1))


clouds = st.tuples(st.integers(1, 8), st.integers(1, 3), st.integers(0, 10**6))


@settings(max_examples=40, deadline=None)
@given(clouds)
def test_w1_is_a_distance_between_clouds(cloud):
    n, d, seed = cloud
    a, b, c = (normal(n, d, seed=seed + k) * (1 + k) for k in range(3))
    ab, ba, bc, ac = (exact_wasserstein(*pair) for pair in ((a, b), (b, a), (b, c), (a, c)))
    assert ab == pytest.approx(ba, rel=1e-12)
    assert ab > 0
    assert ac <= ab + bc + 1e-12
    assert exact_wasserstein(a, a.clone()) == 0
    order = torch.randperm(n, generator=seeded(seed))
    assert exact_wasserstein(a[order], b) == pytest.approx(ab, rel=1e-12)
    assert exact_wasserstein(a[order], a) == pytest.approx(0, abs=1e-15)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("distance", [exact_wasserstein, sliced_wasserstein])
def test_what_is_not_finite_is_refused_by_side_and_row(distance, value, d, side):
    pair = [torch.zeros(5, d), torch.ones(5, d)]
    pair[side][3, -1] = value
    name = ["samples", "reference"][side]
    with pytest.raises(ValueError, match=f"{name} hold 1 non-finite rows, the first at index 3"):
        distance(*pair)
    for shape in ((4, d), (5, d + 1)):
        with pytest.raises(
            ValueError, match=rf"one shape, got \(5, {d}\) and \({shape[0]}, {shape[1]}\)"
        ):
            distance(pair[1 - side], torch.zeros(*shape))


def test_points_are_float64_whatever_came():
    x = torch.zeros(3, 2, requires_grad=True)
    assert as_points(x).dtype == "float64"
    assert as_points(x).shape == (3, 2)


# Sliced.


@pytest.mark.parametrize(("d", "share"), [(1, 1.0), (2, 2 / math.pi), (3, 0.5)])
def test_the_share_of_a_projection_is_known_in_few_dimensions(d, share):
    assert projection_share(d) == pytest.approx(share, rel=1e-12)


@pytest.mark.parametrize("d", [1, 2, 5, 16])
def test_sliced_w1_of_a_shift_is_its_length_times_the_mean_projection(d):
    x = normal(20, d, seed=d)
    shift = 3 * torch.nn.functional.normalize(normal(d, seed=9), dim=0)
    expected = 3 * projection_share(d)
    assert sliced_wasserstein(x + shift, x, 40_000) == pytest.approx(expected, rel=0.02)


def test_sliced_w1_on_the_line_is_the_exact_distance():
    a, b = normal(50, 1, seed=1), normal(50, 1, seed=2)
    assert sliced_wasserstein(a, b) == pytest.approx(exact_wasserstein(a, b), rel=1e-12)


def test_sliced_w1_is_at_most_the_exact_distance():
    for seed in range(10):
        a, b = normal(30, 3, seed=seed), 1 + normal(30, 3, seed=seed + 50)
        assert 0 < sliced_wasserstein(a, b) <= exact_wasserstein(a, b) + 1e-12


def test_sliced_w1_is_symmetric_zero_at_equality_and_scales_with_the_data():
    a, b = normal(30, 4, seed=1), normal(30, 4, seed=2)
    value = sliced_wasserstein(a, b)
    assert sliced_wasserstein(b, a) == pytest.approx(value, rel=1e-12)
    assert sliced_wasserstein(3 * a, 3 * b) == pytest.approx(3 * value, rel=1e-12)
    assert sliced_wasserstein(a, a[torch.randperm(30)]) == pytest.approx(0, abs=1e-12)


def test_directions_never_change_and_a_seed_changes_them():
    a, b = normal(30, 4, seed=1), normal(30, 4, seed=2)
    assert sliced_wasserstein(a, b) == sliced_wasserstein(a, b)
    assert sliced_wasserstein(a, b) != sliced_wasserstein(a, b, seed=1)


@pytest.mark.parametrize("n", [16, 64])
def test_the_floor_of_gaussian_samples_is_the_exact_expectation(n):
    values = [
        sliced_wasserstein(normal(n, 3, seed=s), normal(n, 3, seed=s + 10_000)) for s in range(600)
    ]
    error = 5 * torch.tensor(values).std().item() / math.sqrt(600)
    assert sum(values) / 600 == pytest.approx(wasserstein_floor(n), abs=error)
    assert error < 0.05 * wasserstein_floor(n)


@pytest.mark.parametrize(("d", "sizes", "repeats"), [(1, (100, 1600), 200), (3, (50, 400), 10)])
def test_the_bias_falls_as_the_square_root_on_the_line_and_by_1_over_d_from_3_on(d, sizes, repeats):
    generator = seeded(0)

    def mean(n):
        pairs = torch.rand(repeats, 2, n, d, generator=generator)
        return sum(exact_wasserstein(*pair) for pair in pairs) / repeats

    few, many = (mean(n) for n in sizes)
    exponent = math.log(many / few) / math.log(sizes[1] / sizes[0])
    assert exponent == pytest.approx(-1 / max(d, 2), abs=0.05)
