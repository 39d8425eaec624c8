"""The verdict in words: its thresholds, and what distances cannot see."""

import math

import pytest

from gan_lab.metrics.estimate import Estimate
from gan_lab.metrics.quality import LEGIBLE, Start, judge, sample_w1_note
from gan_lab.runs.headline import FRECHET, headline_of

W1, MODES, SPREAD = "divergence/wasserstein", "modes/covered", "samples/pairwise_distance"


def w1(value, half=0.01, floor=1.0):
    return {W1: Estimate(value, "data units", 500, value - half, value + half, floor)}


@pytest.mark.parametrize(
    ("value", "start", "word"),
    [
        (1.005, None, "as good as real"),  # its interval contains real data's value
        (0.995, None, "as good as real"),
        (0.90, None, "closer than real"),  # a warning: averages of data are nearer than data
        (1.02, None, "close to real"),
        (1.25, None, "close to real"),
        (1.26, None, "between"),
        (3.99, None, "between"),
        (4.01, None, "far from real"),
        # A start of 1.5 leaves little way: 1.2 x real data's value is 40 % of it, 1.3 x 60 %.
        (1.20, 1.5, "between"),
        (1.30, 1.5, "far from real"),
        (1.04, 1.5, "close to real"),  # 8 %
        (4.01, 100.0, "far from real"),  # 3 % of the way is left, and still four times as far
        (1.20, 0.9, "close to real"),  # a start that is no worse than real data tells nothing
    ],
)
def test_closeness_needs_the_ratio_and_the_way_and_distance_one_of_them(value, start, word):
    quality = judge(w1(value), None if start is None else Start(start, 1.0))
    assert quality.word == word


def test_the_way_is_measured_between_values_that_have_the_same_n():
    # On the curve real data get 3.0, at the end 2.8: .2 of 4.0 is left, not .2 of 4.2.
    quality = judge(w1(3.0, floor=2.8), Start(7.0, 3.0))
    assert str(quality) == "close to real: W1 1.1 x real data's"
    quality = judge(w1(4.0, floor=2.8), Start(7.0, 3.0))
    assert str(quality) == "between: W1 1.4 x real data's, 70 % of the way from the start"


@pytest.mark.parametrize(
    ("tag", "value", "floor", "reason"),
    [
        (MODES, 4.0, 8.0, "4 of 8 modes"),
        (MODES, 1.0, 8.0, "1 of 8 modes"),
        (MODES, 4.1, 8.0, ""),
        (MODES, 0.0, 8.0, ""),  # no mode at all: it has not begun, and W1 says how far it is
        (SPREAD, 0.25, 1.0, "samples 0.25 x as far apart as real ones"),
        (SPREAD, 0.26, 1.0, ""),
    ],
)
def test_a_collapse_comes_before_the_distance(tag, value, floor, reason):
    estimates = {**w1(1.001), tag: Estimate(value, "", 500, value, value, floor)}
    quality = judge(estimates)
    assert quality.word == ("collapsed" if reason else "as good as real")
    if reason:
        assert quality.reason == reason


@pytest.mark.parametrize(("near", "word"), [(0.01, "far from real"), (0.6, "collapsed")])
def test_few_modes_are_a_collapse_only_where_the_samples_lie_near_them(near, word):
    estimates = {
        **w1(4.5),
        MODES: Estimate(2.3, "modes", 500, 2.0, 2.5, 8.0),
        "modes/high_quality": Estimate(near, "1", 500, near, near, 0.99),
    }
    assert judge(estimates).word == word


def test_without_a_headline_or_its_floor_there_is_no_verdict():
    assert judge({}) is None
    assert judge({"divergence/js": Estimate(0.1, "nats", 9, 0.0, 0.2, 0.0)}) is None
    assert judge({W1: Estimate(1.0, "data units", 9, 0.9, 1.1)}) is None
    assert headline_of({}, high_dimensional=True) is None
    assert judge(w1(2.0, floor=0.0)).word == "far from real"
    assert judge(w1(math.inf)).word == "far from real"


def fd(value, floor=0.006, half=0.0002):
    return {
        **w1(11.0, floor=11.7),  # of pixels: below real data's, as blurred images have it
        FRECHET: Estimate(value, "1", 1000, value - half, value + half, floor),
    }


@pytest.mark.parametrize(
    ("value", "start", "word"),
    [
        (0.0061, None, "as good as real"),
        (0.0055, None, "as good as real"),  # and no warning of averages, which FD sees
        (0.0093, None, "close to real"),  # the root: 1.25 squared is 1.5625 times real data's
        (0.0094, None, "between"),
        (0.0159, 1.0, "between"),  # readable digits
        (0.0955, None, "between"),
        (0.0965, None, "far from real"),  # 16 times
        (0.0075, 0.15, "between"),  # a tenth of the way is left at a hundredth of the excess
        (0.0074, 0.15, "close to real"),
        (0.0269, 0.090, "between"),
        (0.0271, 0.090, "far from real"),  # half of the way is left at a quarter of the excess
    ],
)
def test_a_squared_distance_is_judged_by_its_root(value, start, word):
    quality = judge(fd(value), None if start is None else Start(start, 0.006))
    assert quality.word == word


def test_the_legible_share_is_told_with_that_of_real_data():
    legible = {LEGIBLE: Estimate(0.93, "1", 1000, 0.92, 0.94, 0.987)}
    quality = judge(fd(0.016) | legible, Start(1.0, 0.006))
    assert str(quality) == (
        "between: FD 2.7 x real data's, 90 % of the way from the start in sqrt(FD); "
        "93 % of samples legible (real data 99 %)"
    )


ENERGY = "divergence/energy"


def energy(value, half=0.001, floor=0.002):
    return {ENERGY: Estimate(value, "data units", 500, value - half, value + half, floor)}


@pytest.mark.parametrize(
    ("value", "start", "word"),
    [
        (0.003, 7.0, "as good as real"),  # its interval contains real data's value
        (-0.010, 7.0, "as good as real"),  # unbiased, so it may be below; no sign of averages
        (0.0031, 7.0, "close to real"),
        (0.0719, 7.0, "close to real"),  # a hundredth of the way in squares is a tenth
        (0.0721, 7.0, "between"),
        (1.75, 7.0, "between"),
        (1.76, 7.0, "far from real"),  # a quarter of the way in squares is half of it
        (1.0, 0.001, None),  # a start no worse than real data tells no scale, nor does none at all
    ],
)
def test_the_energy_distance_is_judged_by_the_root_of_the_way_and_by_no_ratio(value, start, word):
    quality = judge(energy(value), Start(start, 0.002), high_dimensional=True)
    assert (quality and quality.word) == word
    without = judge(energy(value), None, high_dimensional=True)
    assert (without and without.word) == (word if word == "as good as real" else None)


def test_below_five_dimensions_w1_is_judged_where_both_are_measured():
    both = energy(1.76) | w1(1.02)
    assert judge(both, Start(7.0, 1.0), high_dimensional=False).word == "close to real"
    assert judge(both, Start(7.0, 0.0), high_dimensional=True).word == "far from real"
    assert judge(w1(1.02), None, high_dimensional=True).reason.startswith("sample W1 1 x real")


@pytest.mark.parametrize(
    ("value", "note"),
    [
        (1.005, "no difference from real data is shown"),
        (0.9, "no difference from real data is shown"),
        (1.02, "no judge: 98 % of it real data get, too"),
        (1.99, "no judge: 50 % of it real data get, too"),
        (2.01, ""),
    ],
)
def test_w1_of_samples_says_where_its_distance_from_real_data_means_nothing(value, note):
    assert sample_w1_note(w1(value)["divergence/wasserstein"]) == note
