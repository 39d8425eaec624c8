"""Measures: which apply to which data, and that each number is the estimator's own."""

import math

import pytest
import torch

from gan_lab.data.digits import Digits
from gan_lab.data.toy import Gaussian1d, Ring, Segments
from gan_lab.metrics import metrics
from gan_lab.metrics.histogram import histogram_js
from gan_lab.metrics.kernel import energy_distance
from gan_lab.metrics.knn import knn_entropy, knn_js, knn_kl
from gan_lab.metrics.wasserstein import exact_wasserstein, sliced_wasserstein
from gan_lab.selfcheck.samples import Normal
from tests.helpers import CPU, normal, seeded

ALL = [
    *(metrics.Wasserstein(), metrics.SlicedWasserstein(), metrics.KullbackLeibler()),
    *(metrics.JensenShannon(), metrics.Kernel(), metrics.ModeCount(), metrics.Diversity()),
]


def pair(source, n=40):
    real = source.held_out(n, seeded(2))
    return real + 0.01 * normal(*real.shape, seed=3).float(), real


@pytest.mark.parametrize("measure", ALL, ids=lambda m: type(m).__name__)
@pytest.mark.parametrize("data", [Gaussian1d(), Ring(), Segments(), Digits()], ids=str)
def test_each_number_has_a_unit(measure, data):
    source = data.open(CPU)
    evaluate = measure.prepare(source)
    assert (evaluate is None) == (isinstance(measure, metrics.ModeCount) and source.modes is None)
    if evaluate is None:  # modes are counted where they are known only
        return
    values = evaluate(*pair(source))
    assert values
    assert set(values) <= set(measure.units)
    assert all(isinstance(value, float) for value in values.values())


def test_the_numbers_are_the_estimators_own():
    source = Ring().open(CPU)
    fake, real = pair(source)
    read = {}
    for measure in ALL:
        read |= measure.prepare(source)(fake, real)
    assert read["divergence/wasserstein"] == exact_wasserstein(fake, real)
    assert read["divergence/sliced_wasserstein"] == sliced_wasserstein(fake, real)
    assert read["divergence/js"] == knn_js(real, fake)
    assert read["divergence/js_histogram"] == histogram_js(real, fake)
    assert read["divergence/kl_real_fake"] == knn_kl(real, fake)
    assert read["divergence/energy"] == energy_distance(fake, real)


def test_kl_uses_the_exact_density_where_there_is_one():
    source = Normal(2).open(CPU)
    fake, real = 0.5 * normal(300, 2, seed=1), normal(300, 2, seed=2)
    got = metrics.KullbackLeibler().prepare(source)(fake, real)["divergence/kl_fake_real"]
    cross = math.log(2 * math.pi) + float(fake.square().sum(1).mean()) / 2
    assert got == pytest.approx(cross - knn_entropy(fake), abs=1e-9)
    assert got == pytest.approx(2 * (math.log(2) + 0.125 - 0.5), abs=0.3)


@pytest.mark.parametrize("data", [Segments(), Digits()], ids=["segments", "images"])
def test_kl_is_undefined_where_the_data_fill_no_volume(data):
    source = data.open(CPU)
    values = metrics.KullbackLeibler().prepare(source)(*pair(source))
    assert set(values) == set(metrics.KullbackLeibler.units)
    assert all(math.isnan(value) for value in values.values())


def test_a_collapsed_generator_has_infinite_kl_to_the_data():
    source = Ring().open(CPU)
    fake = torch.zeros(30, 2)
    values = metrics.KullbackLeibler().prepare(source)(fake, source.held_out(30, seeded(1)))
    assert values["divergence/kl_fake_real"] == math.inf


def test_the_histogram_is_for_points_in_one_and_two_dimensions():
    tag = "divergence/js_histogram"
    cases = ((Gaussian1d(), True), (Ring(), True), (Normal(3), False), (Digits(), False))
    for data, applies in cases:
        source = data.open(CPU)
        assert (tag in metrics.JensenShannon().prepare(source)(*pair(source))) == applies


def test_the_bandwidth_is_the_datas_and_not_the_samples():
    source = Ring().open(CPU)
    fake, real = pair(source)
    a, b = (metrics.Kernel().prepare(source)(fake, real) for _ in range(2))
    assert a == b


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: metrics.SlicedWasserstein(n_directions=0), "SlicedWasserstein.n_directions"),
        (lambda: metrics.KullbackLeibler(k=0), "KullbackLeibler.k"),
        (lambda: metrics.JensenShannon(k=-1), "JensenShannon.k"),
    ],
)
def test_settings_that_cannot_measure_are_refused_by_name(make, name):
    with pytest.raises(ValueError, match=name):
        make()
