"""Every toy distribution against what is known of it: moments, modes, density, entropy."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from gan_lab.data.toy import Gaussian1d, Grid, Mixture1d, Ring, Segments
from gan_lab.data.toy_shapes import Checkerboard, SwissRoll, TwoMoons
from gan_lab.errors import ConfigError
from tests.helpers import CPU, seeded

N = 20_000
MIXTURE = Mixture1d((-2.0, 0.0, 2.0), (0.1, 0.2, 0.3), (0.2, 0.3, 0.5))
ALL = [
    Gaussian1d(mean=1.0, std=2.0),
    MIXTURE,
    Segments(theta=0.5, dim=3),
    Ring(),
    Grid(),
    SwissRoll(),
    TwoMoons(),
    Checkerboard(),
]
DENSE = [data for data in ALL if not data.singular]


def lattice(data):
    """Points on a lattice that holds nearly all mass, and the volume of a cell, in float64.

    The sum over a lattice of step h integrates what was convolved with N(0, std^2) up to
    exp(-2 pi^2 std^2 / h^2): 3e-9 at h = std. The checkerboard gets midpoints of its squares.
    """
    if isinstance(data, Checkerboard):
        n, low, high = 8 * data.cells, -data.half_width, data.half_width
        step = (high - low) / n
        line = low + step * (torch.arange(n, dtype=torch.float64) + 0.5)
        return torch.cartesian_prod(line, line), step**2
    if isinstance(data, SwissRoll | TwoMoons):
        std = data.noise / data.scale
    else:
        std = data.components().stds.min().item()
    x = data.sample(N, seeded(9)).double()
    lines = [
        torch.arange(x[:, i].min() - 5 * std, x[:, i].max() + 5 * std, std, dtype=torch.float64)
        for i in range(x.shape[1])
    ]
    return torch.cartesian_prod(*lines).reshape(-1, x.shape[1]), std ** x.shape[1]


def curve_moments(data):
    """Mean and covariance of a noisy curve by adaptive quadrature of the curve alone."""

    def point(u):
        return data.curve(torch.tensor([u], dtype=torch.float64))[0].numpy()

    def mean_of(f):
        return integrate.quad(f, 0, 1, points=[0.5], limit=200)[0]

    mean = np.array([mean_of(lambda u, i=i: point(u)[i]) for i in range(2)])
    second = np.array(
        [[mean_of(lambda u, i=i, j=j: point(u)[i] * point(u)[j]) for j in range(2)] for i in (0, 1)]
    )
    covariance = second - np.outer(mean, mean) + data.noise**2 * np.eye(2)
    return mean / data.scale, covariance / data.scale**2


def known_moments(data):
    if isinstance(data, Gaussian1d):
        return [1.0], [[4.0]]
    if isinstance(data, Mixture1d):
        second = 0.2 * (4 + 0.01) + 0.3 * 0.04 + 0.5 * (4 + 0.09)
        return [0.6], [[second - 0.36]]
    if isinstance(data, Segments):
        return [0.5, 0.5, 0.0], np.diag([0, 1 / 12, 0])
    if isinstance(data, Ring):
        return [0.0, 0.0], (data.radius**2 / 2 + data.std**2) * np.eye(2)
    if isinstance(data, Grid):
        return [0.0, 0.0], (2 * data.spacing**2 + data.std**2) * np.eye(2)
    if isinstance(data, Checkerboard):
        # The two diagonals of dark squares tilt it: E[x y] = (half_width / 2)^2 / 4.
        return [0.0, 0.0], [[1.0, 3 / 16], [3 / 16, 1.0]]
    return curve_moments(data)


@pytest.mark.parametrize("data", ALL, ids=str)
def test_mean_and_covariance_are_the_known_ones(data):
    mean, covariance = (np.asarray(moment, dtype=float) for moment in known_moments(data))
    x = data.sample(N, seeded(1)).double().numpy()
    centred = x - mean
    products = centred[:, :, None] * centred[:, None, :]
    # Five standard errors, each from the samples themselves.
    assert np.all(np.abs(centred.mean(0)) <= 5 * x.std(0) / math.sqrt(N) + 1e-6)
    error = np.abs(products.mean(0) - covariance)
    assert np.all(error <= 5 * products.std(0) / math.sqrt(N) + 1e-6)


@pytest.mark.parametrize("data", [MIXTURE, Ring(), Grid()], ids=str)
def test_modes_come_with_their_weights_and_most_samples_are_of_high_quality(data):
    source = data.open(CPU)
    mode, good = source.modes.classify(source.draw(N, seeded(2)))
    assert mode.dtype == torch.int64
    assert good.dtype == torch.bool
    share = torch.bincount(mode, minlength=len(source.modes.weights)) / N
    weights = source.modes.weights
    assert torch.all((share - weights).abs() <= 5 * (weights * (1 - weights) / N).sqrt())
    assert weights.sum().item() == pytest.approx(1, abs=1e-6)
    # Within 3 stds: a perfect Gaussian has 98.889 % in two dimensions, 99.730 % in one.
    ideal = 1 - math.exp(-4.5) if source.shape == (2,) else math.erf(3 / math.sqrt(2))
    sigma = math.sqrt(ideal * (1 - ideal) / N)
    assert good.double().mean().item() == pytest.approx(ideal, abs=4 * sigma)


def test_the_modes_of_the_ring_are_eight_different_points_at_k_two_pi_over_eight():
    centres = Ring().components().centres
    angles = torch.atan2(centres[:, 1], centres[:, 0]) % (2 * math.pi)
    expected = torch.arange(8, dtype=torch.float64) * math.pi / 4
    torch.testing.assert_close(angles, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(centres.norm(dim=1), torch.full((8,), 2 / 1.414).double())
    chord = 2 * (2 / 1.414) * math.sin(math.pi / 8)
    assert torch.pdist(centres).min().item() == pytest.approx(chord, rel=1e-12)


def test_the_grid_is_the_published_one():
    expected = [[2 * i / 2.828, 2 * j / 2.828] for i in range(-2, 3) for j in range(-2, 3)]
    torch.testing.assert_close(Grid().components().centres, torch.tensor(expected).double())
    assert Grid().std == 0.05 / 2.828
    assert Ring().std == 0.02 / 1.414


@pytest.mark.parametrize("data", DENSE, ids=str)
def test_the_density_integrates_to_one_and_its_entropy_is_the_mean_of_minus_log_p(data):
    points, cell = lattice(data)
    log_p = data.log_density(points)
    assert log_p.dtype == torch.float64
    p = log_p.exp()
    assert (p.sum() * cell).item() == pytest.approx(1, abs=1e-4)
    entropy = -(torch.special.xlogy(p, p).sum() * cell).item()
    log_q = data.open(CPU).log_density(data.sample(4000, seeded(5)))
    assert log_q.dtype == torch.float32
    sigma = log_q.double().std().item() / math.sqrt(4000)
    assert -log_q.double().mean().item() == pytest.approx(entropy, abs=5 * sigma + 1e-5)


@pytest.mark.parametrize("data", [Gaussian1d(1.0, 2.0), MIXTURE, Ring(), Grid()], ids=str)
def test_log_density_of_a_mixture_is_the_sum_over_scipy_gaussians(data):
    parts = data.components()
    x = data.sample(200, seeded(6)).double()
    rows = zip(parts.weights.tolist(), parts.centres, parts.stds.tolist(), strict=True)
    direct = sum(
        weight * stats.multivariate_normal(centre.numpy(), std**2).pdf(x.numpy())
        for weight, centre, std in rows
    )
    torch.testing.assert_close(data.log_density(x), torch.from_numpy(np.log(direct)))


@pytest.mark.parametrize("data", [SwissRoll(), TwoMoons(noise=0.2, scale=2.0)], ids=str)
def test_log_density_of_a_noisy_curve_is_scipys_adaptive_integral(data):
    std = data.noise / data.scale
    x = data.sample(3, seeded(7)).double()
    # The last point is 8 stds off the samples: the tail is integrated as well as the ridge.
    x = torch.cat([x, x[:1] + 8 * std])

    def integrand(u, point):
        centre = data.curve(torch.tensor([u], dtype=torch.float64))[0] / data.scale
        square = (point - centre).square().sum().item()
        return math.exp(-square / (2 * std**2)) / (2 * math.pi * std**2)

    edges = np.linspace(0, 1, 101)
    direct = [
        sum(integrate.quad(integrand, a, b, args=(point,))[0] for a, b in itertools.pairwise(edges))
        for point in x
    ]
    expected = torch.tensor(direct).double().log()
    torch.testing.assert_close(data.log_density(x), expected, rtol=0, atol=1e-6)


def test_the_swiss_roll_and_the_two_moons_are_those_of_scikit_learn():
    from sklearn.datasets import make_moons, make_swiss_roll

    roll = make_swiss_roll(N, noise=0.25, random_state=0)[0][:, [0, 2]] / 7.5
    moons = make_moons(N, noise=0.05, random_state=0)[0] - [0.5, 0.25]  # less their mean
    for theirs, data in ((roll, SwissRoll()), (moons, TwoMoons())):
        ours = data.sample(N, seeded(8)).numpy()
        for direction in ([1, 0], [0, 1], [0.6, 0.8], [0.6, -0.8]):
            assert stats.ks_2samp(theirs @ direction, ours @ direction).pvalue > 1e-4
        assert stats.ks_2samp(np.hypot(*theirs.T), np.hypot(*ours.T)).pvalue > 1e-4


@pytest.mark.parametrize("cells", [2, 4, 100])
def test_no_sample_of_the_checkerboard_lies_on_a_light_square(cells):
    data = Checkerboard(cells=cells, half_width=2.0)
    log_p = data.log_density(data.sample(200_000, seeded(cells)))
    torch.testing.assert_close(log_p, torch.full_like(log_p, -math.log(8)))
    outside = torch.tensor([[2.1, 0.1], [-2.1, -2.1], [0.1, 9.0]])
    light = torch.tensor([[-2 + 4 / cells * 1.5, -2 + 4 / cells * 0.5]])
    assert torch.all(data.log_density(torch.cat([outside, light])) == -math.inf)


def test_the_segment_has_no_density_and_its_second_coordinate_is_uniform():
    data = Segments(theta=-0.3, dim=3)
    source = data.open(CPU)
    assert source.log_density is None
    assert source.modes is None
    x = source.draw(N, seeded())
    assert torch.all(x[:, 0] == torch.tensor(-0.3))
    assert torch.all(x[:, 2] == 0)
    assert stats.kstest(x[:, 1].numpy(), "uniform").pvalue > 1e-4


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: Gaussian1d(std=0.0), "data.std must be a finite number above 0, got 0.0; set"),
        (lambda: Gaussian1d(mean=math.nan), "data.mean .* got nan"),
        (lambda: Gaussian1d(std="wide"), "data.std .* got 'wide'"),
        (lambda: Gaussian1d(std=True), "data.std .* got True"),
        (lambda: Mixture1d([], [], []), "data.means must be a list of one or more"),
        (lambda: Mixture1d(1.0, [1.0], [1.0]), "data.means must be a list"),
        (lambda: Mixture1d([0, 1], [1.0], [0.5, 0.5]), r"data.stds must be as long .* \(2\)"),
        (lambda: Mixture1d([0, 1], [1, -1], [0.5, 0.5]), "data.stds must be positive"),
        (lambda: Mixture1d([0, 1], [1, 1], [0, 1]), "data.weights must be positive"),
        (lambda: Mixture1d([0, 1], [1, 1], [1, 3]), r"data.weights must be of sum 1.*0.25, 0.75"),
        (lambda: Segments(theta=math.inf), "data.theta"),
        (lambda: Segments(dim=1), "data.dim must be a whole number of at least 2, got 1"),
        (lambda: Ring(n_modes=0), "data.n_modes"),
        (lambda: Ring(n_modes=2.5), "data.n_modes"),
        (lambda: Ring(radius=-1), "data.radius"),
        (lambda: Grid(side=0), "data.side"),
        (lambda: Grid(spacing=0), "data.spacing"),
        (lambda: SwissRoll(noise=0.0), "data.noise"),
        (lambda: SwissRoll(scale=-1.0), "data.scale"),
        (lambda: TwoMoons(noise=-1.0), "data.noise"),
        (lambda: Checkerboard(cells=3), "data.cells must be even"),
        (lambda: Checkerboard(half_width=0), "data.half_width"),
    ],
)
def test_an_impossible_argument_is_refused_with_what_was_wrong_got_and_to_do(build, words):
    with pytest.raises(ConfigError, match=words) as caught:
        build()
    assert "set e.g. data." in str(caught.value)
    assert "\n" not in str(caught.value)
