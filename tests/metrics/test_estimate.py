"""An estimate says how far it can be trusted, and its interval covers as often as it claims."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from gan_lab.metrics.estimate import (
    Estimate,
    clip_interval,
    from_counts,
    from_repeats,
    interval_notes,
    skewness,
)


def test_from_repeats_is_the_mean_with_its_t_interval():
    values = [1.0, 2.0, 4.0, 5.0]
    estimate = from_repeats(values, "nats", 100)
    assert estimate.value == pytest.approx(3.0, abs=1e-15)
    # t(.975, 3) = 3.182446; std of the values sqrt(10 / 3).
    half = 3.182446305284263 * math.sqrt(10 / 3) / 2
    assert estimate.low == pytest.approx(3 - half, abs=1e-12)
    assert estimate.high == pytest.approx(3 + half, abs=1e-12)
    assert (estimate.unit, estimate.n, estimate.floor) == ("nats", 100, None)


@pytest.mark.parametrize("repeats", [2, 4, 10])
def test_the_interval_covers_the_truth_in_95_of_100_cases(repeats):
    trials = 3000
    draws = np.random.default_rng(7).normal(2.0, 3.0, (trials, repeats))
    estimates = [from_repeats(row.tolist(), "", 1) for row in draws]
    covered = sum(estimate.low <= 2.0 <= estimate.high for estimate in estimates)
    assert 0.93 <= covered / trials <= 0.97


def test_one_repeat_has_no_interval_equal_ones_one_of_no_width_and_none_are_refused():
    estimate = from_repeats([2.5], "nats", 10)
    assert (estimate.value, estimate.low, estimate.high) == (2.5, -math.inf, math.inf)
    estimate = from_repeats([0.1] * 3, "nats", 10)
    assert (estimate.low, estimate.high) == pytest.approx((0.1, 0.1), abs=1e-15)
    with pytest.raises(ValueError, match="no repeats"):
        from_repeats([], "nats", 10)


def test_scalars_are_the_value_the_interval_and_the_floor_where_known():
    estimate = from_repeats([1.0, 3.0], "nats", 10)
    ends = {"a/b_low": estimate.low, "a/b_high": estimate.high}
    assert estimate.scalars("a/b") == {"a/b": 2.0, **ends}
    beside = estimate.with_floor(0.25)
    assert beside.scalars("a/b") == {**estimate.scalars("a/b"), "a/b_floor": 0.25}
    assert estimate.floor is None  # the first is as it was
    assert beside.with_floor(0.0).scalars("a")["a_floor"] == 0.0
    infinite = Estimate(math.inf, "nats", 3, 0.0, math.inf)
    assert infinite.scalars("x")["x"] == math.inf  # said and not clipped
    text = str(Estimate(1.0, "nats", 64, 0.5, 1.5, 0.1))
    assert text == "1 nats [0.5, 1.5], n = 64, floor 0.1"


@pytest.mark.parametrize(
    ("tag", "value", "low", "high", "shown"),
    [
        ("modes/high_quality", 0.1, -0.1, 0.3, "[0*, 0.3]"),
        ("modes/high_quality", 0.9, 0.7, 1.1, "[0.7, 1*]"),
        ("modes/high_quality", 0.5, -1.0, 2.0, "[0*, 1*]"),
        ("divergence/wasserstein", 0.1, -0.1, 0.3, "[0*, 0.3]"),
        ("final/divergence/js", 0.6, 0.5, 0.75, "[0.5, 0.693*]"),
        ("neural_distance/js", 0.6, 0.5, 0.75, "[0.5, 0.693*]"),
        ("neural_distance/wasserstein", 0.6, 0.5, 0.75, "[0.5, 0.75]"),
        ("divergence/js", -0.01, -0.02, 0.01, "[-0.02, 0.01]"),  # as impossible as its value
        ("discriminator_estimate/js", 0.1, -0.2, 0.8, "[-0.2, 0.693*]"),  # may be negative
        ("loss/generator", 0.1, -0.2, 0.8, "[-0.2, 0.8]"),
        ("samples/pairwise_distance", 1.0, -math.inf, math.inf, "[-inf, inf]"),
    ],
)
def test_an_impossible_end_of_an_interval_is_clipped_with_a_mark(tag, value, low, high, shown):
    interval = Estimate(value, "", 10, low, high).interval(tag)
    assert interval.text(lambda end: f"{end:.3g}") == shown
    assert interval.is_clipped == ("*" in shown)


def test_no_interval_has_more_modes_than_there_are():
    interval = clip_interval("modes/covered", 7.6, 6.9, 8.3, limit=8)
    assert interval == (6.9, 8, False, True)
    assert clip_interval("modes/covered", 7.6, 6.9, 8.3) == (6.9, 8.3, False, False)


def test_skewness_is_scipys_and_at_most_what_so_few_values_allow():
    rng = np.random.default_rng(0)
    for n in (3, 4, 10, 20):
        values = rng.exponential(size=n).tolist()
        assert skewness(values) == pytest.approx(float(stats.skew(values)), abs=1e-12)
        assert skewness([1e200 * value for value in values]) == pytest.approx(skewness(values))
        assert skewness([0.0] * (n - 1) + [7.0]) == pytest.approx((n - 2) / math.sqrt(n - 1))
    assert skewness([0.1] * 5) == 0.0
    assert skewness([1.0, 2.0, 3.0]) == pytest.approx(0.0, abs=1e-12)


def test_an_interval_of_skewed_repeats_is_marked_and_explained():
    skewed = from_repeats([1.0, 1.1, 0.9, 1.0, 1.1, 0.9, 1.0, 1.0, 1.1, 20.0], "nats", 10)
    level = from_repeats([1.0, 1.1, 0.9, 1.0, 1.1, 0.9, 1.0, 1.0, 1.1, 0.8], "nats", 10)
    assert (skewed.is_skewed, level.is_skewed) == (True, False)
    assert not from_repeats([1.0, 1.0, 1.0, 9.0], "nats", 10).is_skewed  # four values cannot tell
    assert not from_counts([8, 8, 8, 8, 8, 8, 8, 8, 8, 2], "modes", 10).is_skewed
    tag = "divergence/energy"
    assert skewed.interval_text(tag, lambda end: f"{end:.2g}") == "[0*, 7.2]~"
    assert "]~" in str(skewed)
    assert "~" not in str(level)
    clipped, narrow = "* clipped at what is possible", "~ interval too narrow for such tails"
    assert interval_notes([(tag, level), (tag, skewed)]) == f"{clipped}; {narrow}"
    assert interval_notes([("loss/generator", skewed)]) == narrow
    assert interval_notes([(tag, level)]) == ""


def test_a_skewed_floor_marks_what_it_stands_beside_and_old_records_have_no_mark():
    level = from_repeats([1.0, 1.1, 0.9], "nats", 10)
    assert level.with_floor(0.5, is_skewed=True).is_skewed
    assert not level.with_floor(0.5).is_skewed
    assert replace(level, is_skewed=True).with_floor(0.5).is_skewed
    old = {name: value for name, value in vars(level).items() if name != "is_skewed"}
    assert Estimate(**old) == level
