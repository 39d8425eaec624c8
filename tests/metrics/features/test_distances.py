"""The distances of features: closed forms, other packages' numbers, and what they refuse."""

import contextlib
import io
import math

import numpy as np
import pytest
import torch

from gan_lab.metrics.features.frechet import frechet_distance, relative_frechet_distance
from gan_lab.metrics.features.kernel_distance import kernel_distance
from gan_lab.metrics.features.manifold import manifold_metrics
from gan_lab.metrics.features.scores import classifier_score


def normal(n, d, seed=0, shift=0.0, std=1.0):
    generator = torch.Generator().manual_seed(seed)
    return shift + std * torch.randn(n, d, generator=generator, dtype=torch.float64)


def with_moments(points, mean, factor):
    """The points moved so that their mean and covariance are exactly mean and factor' factor."""
    centred = points - points.mean(dim=0)
    root = torch.linalg.cholesky(torch.linalg.inv(torch.cov(centred.T)))
    return centred @ root @ factor + mean


class Identity(torch.nn.Module):
    """What a metric of another package takes as its network: images are features already."""

    def __init__(self, num_features):
        super().__init__()
        self.num_features = num_features

    def forward(self, x):
        return x


# --- closed forms


def test_frechet_distance_of_gaussians_is_their_closed_form():
    mean, d = torch.tensor([3.0, 4.0, 0.0], dtype=torch.float64), 3
    stds_x, stds_y = torch.tensor([1.0, 2.0, 3.0]).double(), torch.tensor([2.0, 0.5, 3.0]).double()
    x = with_moments(normal(50, d), mean, torch.diag(stds_x))
    y = with_moments(normal(70, d, seed=1), torch.zeros(d).double(), torch.diag(stds_y))
    truth = 25.0 + float(((stds_x - stds_y) ** 2).sum())  # commuting covariances
    assert frechet_distance(x, y) == pytest.approx(truth, rel=1e-10)
    relative = truth / float((stds_y**2).sum())
    assert relative_frechet_distance(x, y) == pytest.approx(relative, rel=1e-10)


def test_frechet_distance_of_covariances_that_do_not_commute_is_that_of_the_matrix_root():
    scipy_linalg = pytest.importorskip("scipy.linalg")
    x, y = normal(40, 5) @ normal(5, 5, seed=2), normal(40, 5, seed=1) @ normal(5, 5, seed=3)
    a, b = torch.cov(x.T).numpy(), torch.cov(y.T).numpy()
    root = np.real(scipy_linalg.sqrtm(a @ b))
    truth = float(((x.mean(0) - y.mean(0)) ** 2).sum()) + np.trace(a + b - 2 * root)
    assert frechet_distance(x, y) == pytest.approx(truth, rel=1e-8)


def test_frechet_distance_is_symmetric_and_its_ratio_free_of_the_features_scale():
    x, y = normal(30, 4, shift=1.0), normal(30, 4, seed=1, std=2.0)
    assert frechet_distance(x, y) == pytest.approx(frechet_distance(y, x), rel=1e-12)
    assert frechet_distance(5 * x, 5 * y) == pytest.approx(25 * frechet_distance(x, y), rel=1e-12)
    ratio = relative_frechet_distance(x, y)
    assert relative_frechet_distance(5 * x, 5 * y) == pytest.approx(ratio, rel=1e-12)
    # Samples that are all the mean of the reference are at the ratio 1, exactly.
    means = y.mean(dim=0).expand(7, 4)
    assert relative_frechet_distance(means, y) == pytest.approx(1.0, rel=1e-12)


def test_frechet_distance_takes_singular_covariances():
    # Fewer samples than features: two pairs of points on orthogonal lines.
    x = torch.zeros(2, 10).double()
    y = x.clone()
    x[0, 0], x[1, 0], y[0, 1], y[1, 1] = 1.0, -1.0, 1.0, -1.0
    assert frechet_distance(x, y) == pytest.approx(2.0 + 2.0, rel=1e-12)  # variances of 2, no root
    assert frechet_distance(x, x) == pytest.approx(0.0, abs=1e-12)
    constant = torch.full((5, 10), 3.0)
    assert frechet_distance(constant, constant) == 0.0
    assert frechet_distance(constant, constant + 1) == pytest.approx(10.0, rel=1e-12)
    few = normal(6, 100)
    assert frechet_distance(few, few) == pytest.approx(0.0, abs=1e-9)


def test_frechet_distance_grows_by_order_one_over_n_for_equal_gaussians():
    # E |difference of means|^2 = 2 d/n; near I the root part is |S_x - S_y|^2/4,
    # whose expectation is d (d + 1)/(2 n) to first order.
    d, n = 4, 400
    values = [
        frechet_distance(normal(n, d, seed=2 * i), normal(n, d, seed=2 * i + 1)) for i in range(100)
    ]
    truth = 2 * d / n + d * (d + 1) / (2 * n)
    assert np.mean(values) == pytest.approx(truth, rel=0.1)


def test_kernel_distance_of_gaussians_is_its_closed_form():
    # In one dimension with x ~ N(0, 1), y ~ N(m, s^2) and scale c, E k = E (x y/c + 1)^3.
    m, s, c = 0.5, 1.5, 2.0
    x2, y1, y2 = 1.0, m, m**2 + s**2
    y3 = m**3 + 3 * m * s**2

    def mean_kernel(a1, a2, a3, b1, b2, b3):
        return 1 + 3 * a1 * b1 / c + 3 * a2 * b2 / c**2 + a3 * b3 / c**3

    ours, theirs = (0.0, x2, 0.0), (y1, y2, y3)
    truth = mean_kernel(*ours, *ours) + mean_kernel(*theirs, *theirs)
    truth -= 2 * mean_kernel(*ours, *theirs)
    values = []
    for i in range(400):
        x, y = normal(60, 1, seed=2 * i), normal(60, 1, seed=2 * i + 1, shift=m, std=s)
        values.append(kernel_distance(x, y, scale=c)[0])
    error = np.std(values, ddof=1) / math.sqrt(len(values))
    assert abs(np.mean(values) - truth) < 4 * error
    assert error < 0.1 * truth


def test_the_jackknife_is_that_of_every_sample_left_out_in_turn():
    x, y = normal(6, 3, shift=0.5), normal(8, 3, seed=1)
    value, error = kernel_distance(x, y, scale=2.0)

    def others(points, i):
        return torch.cat([points[:i], points[i + 1 :]])

    without_x = [kernel_distance(others(x, i), y, scale=2.0)[0] for i in range(6)]
    without_y = [kernel_distance(x, others(y, i), scale=2.0)[0] for i in range(8)]
    truth = 5 * np.var(without_x) + 7 * np.var(without_y)
    assert error == pytest.approx(math.sqrt(truth), rel=1e-10)
    assert math.isfinite(value)


def test_the_jackknifes_error_is_the_spread_of_independent_draws():
    pairs = [
        kernel_distance(normal(80, 2, seed=2 * i, shift=0.7), normal(80, 2, seed=2 * i + 1), 2.0)
        for i in range(200)
    ]
    values, errors = np.array(pairs).T
    assert np.sqrt((errors**2).mean()) == pytest.approx(values.std(ddof=1), rel=0.2)


def test_kernel_distance_does_not_see_the_features_scale():
    x, y = normal(20, 3, shift=0.5), normal(30, 3, seed=1)
    for a, b in zip(kernel_distance(x, y), kernel_distance(7 * x, 7 * y), strict=True):
        assert a == pytest.approx(b, rel=1e-10)


def test_kernel_distance_of_two_samples_has_no_error():
    value, error = kernel_distance(normal(2, 3), normal(2, 3, seed=1))
    assert math.isfinite(value)
    assert error == math.inf
    constant = torch.full((4, 3), 2.0)
    assert kernel_distance(constant, constant) == pytest.approx((0.0, 0.0), abs=1e-12)


def test_density_and_coverage_of_equal_distributions_are_known_in_any_dimension():
    # Naeem et al. 2020: density 1, coverage 1 - prod (m - i)/(m + n - i), i = 1 to k.
    n, m, k = 60, 80, 3
    truth = 1 - math.prod((m - i) / (m + n - i) for i in range(1, k + 1))
    for d in (1, 7):
        rows = [
            manifold_metrics(normal(n, d, seed=2 * i), normal(m, d, seed=2 * i + 1), k)
            for i in range(200)
        ]
        for name, expected in (("density", 1.0), ("coverage", truth)):
            values = [getattr(row, name) for row in rows]
            error = np.std(values, ddof=1) / math.sqrt(len(values))
            assert abs(np.mean(values) - expected) < 4 * error
            assert error < 0.02


def test_manifold_metrics_of_a_hand_made_line():
    # Reference 0, 1, 3: balls to the nearest have radii 1, 1, 2. Samples .5 and 9: 8.5 each.
    y, x = torch.tensor([[0.0], [1.0], [3.0]]), torch.tensor([[0.5], [9.0]])
    got = manifold_metrics(x, y, k=1)
    assert got.precision == 0.5  # 9 is in no ball; .5 in those of 0 and 1, 2.5 from 3
    assert got.density == 1.0  # two balls over two samples, k = 1
    assert got.coverage == pytest.approx(2 / 3)
    assert got.recall == 1.0


def test_copies_of_the_reference_are_inside_and_cover_it():
    y = normal(40, 6)
    got = manifold_metrics(y, y, k=5)
    assert (got.precision, got.recall, got.coverage) == (1.0, 1.0, 1.0)
    # Each point lies in its own ball and in those of which it is one of the nearest 4 others (the
    # fifth lies on the edge): 5 balls a point, over k = 5.
    assert got.density == pytest.approx(1.0, abs=1e-12)
    far = manifold_metrics(y + 100.0, y, k=5)
    assert (far.precision, far.recall, far.density, far.coverage) == (0.0, 0.0, 0.0, 0.0)
    constant = torch.zeros(10, 2)
    assert manifold_metrics(constant, constant, k=3).coverage == 0.0  # balls of radius 0 are empty


def test_samples_that_come_k_plus_1_times_have_empty_balls():
    few, many = normal(40, 3, seed=1), normal(240, 3, seed=2)
    for repeats, is_empty in ((5, False), (6, True)):  # k = 5
        repeated = few.repeat(repeats, 1)
        as_samples, as_reference = (
            manifold_metrics(repeated, many),
            manifold_metrics(many, repeated),
        )
        assert (as_samples.recall == 0) == is_empty
        assert as_samples.precision > 0.9  # each lies where the reference does
        assert as_reference.recall > 0.9
        empty = {as_reference.precision, as_reference.density, as_reference.coverage} == {0.0}
        assert empty == is_empty


def test_classifier_score_counts_the_classes_that_samples_are_surely_in():
    sure = torch.eye(4).double().log().repeat(5, 1)
    assert classifier_score(sure) == pytest.approx(4.0, rel=1e-12)
    assert classifier_score(sure[:1].expand(9, 4)) == pytest.approx(1.0, abs=1e-12)
    assert classifier_score(torch.full((6, 10), 0.1).log()) == pytest.approx(1.0, abs=1e-6)
    # Two classes at 3 : 1, surely told apart: exp of the entropy of the shares.
    uneven = torch.eye(2).double().log()[[0, 0, 0, 1]]
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert classifier_score(uneven) == pytest.approx(math.exp(entropy), rel=1e-12)


# --- other packages


@pytest.mark.parametrize("d", [1, 5, 12])
def test_frechet_distance_is_that_of_torchmetrics(d):
    fid = pytest.importorskip("torchmetrics.image.fid")
    x, y = normal(300, d, shift=0.3) @ normal(d, d, seed=5), normal(200, d, seed=1, std=1.5)
    metric = fid.FrechetInceptionDistance(feature=Identity(d)).set_dtype(torch.float64)
    metric.update(y, real=True)
    metric.update(x, real=False)
    assert frechet_distance(x, y) == pytest.approx(float(metric.compute()), rel=1e-6)


@pytest.mark.filterwarnings("ignore:Metric .Kernel Inception Distance. will save")
@pytest.mark.parametrize("scale", [None, 5.0])
def test_kernel_distance_is_that_of_torchmetrics(scale):
    kid = pytest.importorskip("torchmetrics.image.kid")
    n, d = 120, 5
    x, y = normal(n, d, shift=0.3), normal(n, d, seed=1, std=1.5)
    gamma = 1 / (scale or float((y**2).sum(dim=1).mean()))
    metric = kid.KernelInceptionDistance(
        feature=Identity(d), subsets=1, subset_size=n, gamma=gamma
    ).set_dtype(torch.float64)
    metric.update(y, real=True)
    metric.update(x, real=False)
    assert kernel_distance(x, y, scale)[0] == pytest.approx(float(metric.compute()[0]), rel=1e-6)


@pytest.mark.filterwarnings("ignore:Metric .InceptionScore. will save")
@pytest.mark.filterwarnings("ignore:std\\(\\)")
def test_classifier_score_is_that_of_torchmetrics():
    inception = pytest.importorskip("torchmetrics.image.inception")
    logits = 3 * normal(100, 10)
    metric = inception.InceptionScore(feature=Identity(10), splits=1)
    metric.update(logits)
    truth = float(metric.compute()[0])
    assert classifier_score(logits.log_softmax(dim=1)) == pytest.approx(truth, rel=1e-6)


@pytest.mark.parametrize(("n", "m", "d", "k"), [(50, 50, 2, 1), (60, 40, 30, 5), (30, 80, 8, 3)])
def test_precision_recall_density_and_coverage_are_those_of_prdc(n, m, d, k):
    prdc = pytest.importorskip("prdc")
    x, y = normal(n, d, shift=0.4), normal(m, d, seed=1)
    got = manifold_metrics(x, y, k)
    with contextlib.redirect_stdout(io.StringIO()):
        theirs = prdc.compute_prdc(y.numpy(), x.numpy(), k)
    # Shares of counts: equal, or one count apart.
    assert (got.precision, got.recall) == (theirs["precision"], theirs["recall"])
    assert got.coverage == theirs["coverage"]
    assert got.density == pytest.approx(theirs["density"], rel=1e-12)
    assert 0 < got.precision < 1 or d == 2  # else the numbers prove little


# --- refusals

PAIRS = [frechet_distance, relative_frechet_distance, kernel_distance, manifold_metrics]


@pytest.mark.parametrize("function", PAIRS)
def test_what_cannot_be_compared_is_refused(function):
    good = normal(10, 3)
    for bad in (math.nan, math.inf):
        broken = good.clone()
        broken[4, 1] = bad
        with pytest.raises(ValueError, match="non-finite rows, the first at index 4"):
            function(broken, good)
        with pytest.raises(ValueError, match="reference hold 1 non-finite"):
            function(good, broken)
    with pytest.raises(ValueError, match="3 features and the reference 4; take as many"):
        function(good, normal(10, 4))
    with pytest.raises(ValueError, match="take at least 2 on each side"):
        function(good, good[:1])


def test_features_that_do_not_vary_have_no_scale():
    with pytest.raises(ValueError, match="the same for all samples"):
        relative_frechet_distance(normal(10, 3), torch.ones(10, 3))
    with pytest.raises(ValueError, match=r"scale=0\.0 is not > 0"):
        kernel_distance(normal(10, 3), torch.zeros(10, 3))


@pytest.mark.parametrize("k", [0, 10, 11])
def test_too_few_neighbours_are_refused(k):
    with pytest.raises(ValueError, match="is not in 1 to 9"):
        manifold_metrics(normal(10, 3), normal(20, 3), k)


def test_a_score_of_what_are_no_probabilities_is_refused():
    good = torch.full((4, 10), 0.1).log()
    with pytest.raises(ValueError, match="sample 2 sum to 2, not 1"):
        classifier_score(good + torch.tensor([0, 0, math.log(2), 0])[:, None])
    with pytest.raises(ValueError, match="sample 0 sum to nan"):
        classifier_score(torch.full((4, 10), math.nan))
    for shape in ((10,), (0, 10)):
        with pytest.raises(ValueError, match="take"):
            classifier_score(torch.zeros(shape))
