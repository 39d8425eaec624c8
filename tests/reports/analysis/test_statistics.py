"""Intervals over seeds: coverage by simulation, exact small cases, invariances."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from gan_lab.reports.analysis.statistics import Statistic, difference, holm, mean, median, ranking

N_SIMULATIONS = 10_000


def by_seed(values):
    return dict(enumerate(map(float, values)))


def test_paired_intervals_cover_95_percent_and_a_null_difference_is_rarely_supported():
    n_covered = n_supported = 0
    rng = np.random.default_rng(5)
    for _ in range(N_SIMULATIONS):  # pairs of groups share a part, as runs of one seed do
        common_part, *own = rng.normal(size=(3, 5))
        d = difference(*(by_seed(common_part + each) for each in own))
        n_covered += d.measured.low <= 0.0 <= d.measured.high
        n_supported += d.is_supported
    assert 0.94 <= n_covered / N_SIMULATIONS <= 0.96
    assert 0.04 <= n_supported / N_SIMULATIONS <= 0.06
    assert n_covered + n_supported == N_SIMULATIONS


@pytest.mark.parametrize(("n", "coverage"), [(5, 0.88), (20, 0.92)])
def test_the_coverage_under_skew_is_what_the_method_text_says(n, coverage):
    """Exponential values, whose mean is 1: the statement of the module and of every page."""
    rng = np.random.default_rng(6)
    intervals = map(mean, rng.exponential(size=(N_SIMULATIONS, n)))
    inside = sum(low <= 1.0 <= high for _, low, high in intervals)
    assert inside / N_SIMULATIONS == pytest.approx(coverage, abs=0.01)


def test_a_percentile_bootstrap_of_five_seeds_covers_84_percent_only():
    """Why intervals are t intervals."""
    rng = np.random.default_rng(7)
    samples = rng.normal(size=(4000, 5))
    means = np.stack([s[rng.integers(5, size=(600, 5))].mean(1) for s in samples])
    low, high = np.quantile(means, [0.025, 0.975], axis=1)
    assert ((low <= 0) & (high >= 0)).mean() == pytest.approx(0.84, abs=0.02)


def test_of_six_null_differences_any_is_called_supported_in_at_most_6_percent():
    rng = np.random.default_rng(8)
    alarms = 0
    for _ in range(1000):
        groups = [by_seed(rng.normal(size=5)) for _ in range(4)]
        p = [difference(a, b).p for a, b in itertools.combinations(groups, 2)]
        alarms += any(holm(p))
    assert 0.01 <= alarms / 1000 <= 0.06


def test_a_large_difference_is_supported_and_its_sign_is_first_minus_second():
    a, b = [1.0, 1.1, 0.9, 1.0, 1.05], [3.0, 3.2, 2.9, 3.1, 3.0]
    d = difference(by_seed(a), by_seed(b))
    assert d.is_supported
    assert d.is_paired
    assert (d.lower, d.higher, d.ties) == (5, 0, 0)
    assert d.measured.value == pytest.approx(-2.03)
    paired = stats.ttest_rel(a, b)
    ends = tuple(paired.confidence_interval(0.95))
    assert (d.measured.low, d.measured.high, d.p) == pytest.approx(
        (*ends, paired.pvalue), rel=1e-12
    )


def test_pairs_are_matched_by_seed_and_not_by_order():
    a, b = {3: 1.0, 1: 5.0, 2: 9.0}, {1: 4.0, 2: 8.0, 3: 0.0, 7: 99.0}
    d = difference(a, b)
    assert d.n == 3
    assert d.measured == Statistic(1.0, -math.inf, math.inf)  # equal thrice: p = 1/4 by signs


def test_equal_differences_are_judged_by_their_signs_and_never_without_an_interval():
    """Counts such as modes covered; a t interval would have no width."""
    for n in (2, 5, 6, 8):
        d = difference(by_seed([8.0] * n), by_seed([7.0] * n))
        assert d.p == pytest.approx(stats.binomtest(n, n).pvalue)
        assert d.is_supported == (n >= 6)
    assert difference(by_seed([8.0] * 9), by_seed([8.0] * 9)).p == 1.0


def test_groups_without_common_seeds_get_welchs_interval():
    a, b = [1.0, 2.0, 4.0], [10.0, 11.0, 15.0, 12.0]
    d = difference(by_seed(a), {seed + 10: v for seed, v in enumerate(b)})
    theirs = stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.95)
    assert not d.is_paired
    assert (d.measured.low, d.measured.high) == pytest.approx(tuple(theirs), rel=1e-12)


def test_one_seed_supports_nothing():
    d = difference({0: 1.0}, {0: 100.0})
    assert not d.is_supported
    assert math.isnan(d.p)
    assert (d.measured.low, d.measured.high) == (-math.inf, math.inf)


def test_values_that_are_not_finite_take_no_part():
    d = difference({0: 1.0, 1: 2.0, 2: math.inf}, {0: 0.5, 1: 1.0, 2: 0.0})
    assert d.n == 2
    assert d.measured.value == pytest.approx(0.75)
    with pytest.raises(ValueError, match="finite value"):
        difference({0: math.nan}, {0: 1.0})


def test_holm_is_the_step_down_procedure():
    assert holm([0.01, 0.04, 0.03]) == [True, False, False]  # .01 < .05/3, .03 > .05/2
    assert holm([0.01, 0.02, 0.03]) == [True, True, True]
    assert holm([math.nan, 0.04]) == [False, True]
    assert holm([]) == []


def test_a_ranking_that_never_changes_has_concordance_one():
    values = {"a": by_seed([1, 2, 3]), "b": by_seed([2, 3, 4]), "c": by_seed([9, 9, 9])}
    ranks = ranking(values, better=-1)
    assert ranks.first == {"a": 3.0, "b": 0.0, "c": 0.0}
    assert ranks.concordance == pytest.approx(1.0)
    assert ranking(values, better=1).first["c"] == 3.0


def test_concordance_is_kendalls_w_and_friedmans_statistic():
    rng = np.random.default_rng(0)
    table = rng.normal(size=(6, 4))  # seeds x groups
    values = {str(j): by_seed(table[:, j]) for j in range(4)}
    friedman = stats.friedmanchisquare(*table.T).statistic
    assert ranking(values, -1).concordance == pytest.approx(friedman / (6 * 3), rel=1e-12)


def test_ties_share_the_first_place_and_a_diverged_run_comes_last():
    ranks = ranking({"a": by_seed([1, math.nan]), "b": by_seed([1, 5])}, -1)
    assert ranks.first == {"a": 0.5, "b": 1.5}


def test_a_median_of_eight_lies_between_order_statistics():
    values = [5.0, 1.0, 4.0, 2.0, 8.0, 7.0, 3.0, 6.0]
    m = median(values)
    assert m.value == 4.5
    assert {m.low, m.high} <= set(values)
    assert m.low < 4.5 < m.high


@pytest.mark.parametrize("n", [2, 5, 20])
def test_the_p_value_of_pairs_is_scipys_to_the_bit(n):
    for x in np.random.default_rng(n).normal(0.3, 2.0, size=(50, n)):
        pairs = difference(dict(enumerate(x)), dict.fromkeys(range(n), 0.0))
        assert pairs.p == stats.ttest_1samp(x, 0.0).pvalue
