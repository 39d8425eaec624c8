"""Verdicts follow from intervals, and the intervals hold what they say."""

import math

import numpy as np
import pytest
from scipy import stats

from gan_lab.experiments import claims
from gan_lab.experiments.claims import FAIL, INCONCLUSIVE, PASS, Claim, at_least, at_most, equals
from gan_lab.reports.analysis.statistics import Statistic, exact, mean, median, share

INF, NAN = math.inf, math.nan


@pytest.mark.parametrize(
    ("measured", "relation", "expected", "tolerance", "verdict"),
    [
        ((1.0, 0.9, 1.1), "equals", 1.0, 0.2, PASS),
        ((1.0, 0.8, 1.2), "equals", 1.0, 0.2, PASS),  # the ends belong to what is allowed
        ((1.0, 0.7, 1.1), "equals", 1.0, 0.2, INCONCLUSIVE),
        ((1.5, 1.3, 1.7), "equals", 1.0, 0.2, FAIL),
        ((0.5, 0.3, 0.7), "equals", 1.0, 0.2, FAIL),
        ((1.0, -INF, INF), "equals", 1.0, 0.2, INCONCLUSIVE),  # one seed has no interval
        ((3.0, 2.0, 4.0), "at_least", 2.0, 0.0, PASS),
        ((3.0, 1.9, 4.0), "at_least", 2.0, 0.0, INCONCLUSIVE),
        ((3.0, 1.9, 4.0), "at_least", 2.0, 0.1, PASS),
        ((1.0, 0.0, 1.9), "at_least", 2.0, 0.0, FAIL),
        ((1.0, 0.0, 2.0), "at_most", 2.0, 0.0, PASS),
        ((1.0, 0.0, 2.1), "at_most", 2.0, 0.0, INCONCLUSIVE),
        ((3.0, 2.2, 4.0), "at_most", 2.0, 0.1, FAIL),
        ((INF, INF, INF), "at_least", 2.0, 0.0, PASS),
        ((INF, INF, INF), "at_most", 2.0, 0.0, FAIL),
        ((INF, INF, INF), "equals", INF, 0.0, PASS),
        ((1e300, 1e300, 1e300), "equals", INF, 0.0, FAIL),
        ((INF, 5.0, INF), "equals", INF, 0.0, FAIL),
        ((-INF, -INF, -INF), "equals", INF, 0.0, FAIL),
        ((NAN, NAN, NAN), "at_least", -INF, 0.0, FAIL),
        ((1.0, NAN, 2.0), "at_least", 0.0, 0.0, FAIL),
        ((NAN, -INF, INF), "equals", 1.0, 0.2, FAIL),
    ],
)
def test_verdict_is_where_the_interval_lies(measured, relation, expected, tolerance, verdict):
    assert claims.judge(Statistic(*measured), relation, expected, tolerance) == verdict


@pytest.mark.parametrize("n", [5, 6, 8, 11, 20])
@pytest.mark.parametrize("draw", ["normal", "exponential", "cauchy"])
def test_median_interval_covers_whatever_the_distribution(n, draw):
    law = {"normal": stats.norm, "exponential": stats.expon, "cauchy": stats.cauchy}[draw]
    x = law.rvs(size=(4000, n), random_state=np.random.default_rng(n))
    intervals = np.array([median(row)[1:] for row in x])
    truth = law.median()
    covered = ((intervals[:, 0] <= truth) & (truth <= intervals[:, 1])).mean()
    # The coverage of order statistics k and n + 1 - k is exact; 4 standard errors are .016.
    coverages = 1 - 2 * stats.binom.cdf(np.arange(n - 1), n, 0.5)
    promised = coverages[coverages >= 0.9375].min()
    assert covered == pytest.approx(promised, abs=0.016)


def test_median_of_five_spans_them_all_and_of_four_is_open():
    assert median([5, 1, 4, 2, 3]) == (3.0, 1.0, 5.0)
    assert median([1, 2, 3, 4]) == (2.5, -INF, INF)
    assert median([7]) == (7.0, -INF, INF)
    # One infinite run does not decide.
    assert median([1, 2, 3, 4, 5, 6, 7, 8, INF]) == (5.0, 2.0, 8.0)
    assert median([1, 2, 3, 4, INF]) == (3.0, 1.0, INF)


@pytest.mark.parametrize("n", [2, 3, 5, 20])
def test_mean_interval_covers_95_percent_of_normal_samples(n):
    x = np.random.default_rng(n).normal(3.0, 2.0, size=(4000, n))
    intervals = np.array([mean(row)[1:] for row in x])
    covered = ((intervals[:, 0] <= 3) & (intervals[:, 1] >= 3)).mean()
    assert covered == pytest.approx(0.95, abs=0.014)  # 4 standard errors


def test_mean_is_the_t_interval_which_one_seed_has_not():
    x = [1.0, 2.0, 4.0, 4.0]
    low, high = stats.t.interval(0.95, 3, loc=np.mean(x), scale=stats.sem(x))
    assert mean(x) == pytest.approx((2.75, low, high), rel=1e-12)
    assert mean([2.0]) == (2.0, -INF, INF)
    assert Claim("a", "a", mean([2.0]), *equals(2.0, 0.1)).verdict == INCONCLUSIVE
    assert mean([1.0, INF, 2.0]) == (INF, INF, INF)


@pytest.mark.parametrize("measure", [mean, median])
def test_a_run_without_a_number_fails_the_claim_and_nothing_measured_is_refused(measure):
    for n in (1, 4, 6):
        got = measure([NAN, *range(n)])
        assert Claim("a", "a", got, *at_least(-1e9)).verdict == FAIL
    with pytest.raises(ValueError, match="at least one seed"):
        measure([])


@pytest.mark.parametrize("p", [0.02, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("n", [5, 12, 40])
def test_share_covers_at_least_95_percent(p, n):
    covered = sum(
        stats.binom.pmf(k, n, p) for k in range(n + 1) if share(k, n).low <= p <= share(k, n).high
    )
    assert 0.95 <= covered <= 1


def test_share_at_its_ends():
    assert share(0, 10)[:2] == (0.0, 0.0)
    assert share(10, 10)[::2] == (1.0, 1.0)
    assert share(0, 10).high == pytest.approx(1 - 0.025**0.1, rel=1e-9)
    for wrong in ((3, 2), (-1, 2), (0, 0)):
        with pytest.raises(ValueError, match="no share"):
            share(*wrong)


def test_exact_has_no_width():
    assert exact(np.float32(0.5)) == (0.5, 0.5, 0.5)


@pytest.mark.parametrize(
    ("expectation", "says"),
    [
        (("equals", 1.0, -1.0), "no finite size"),
        (("equals", 1.0, INF), "no finite size"),
        (("equals", 1.0, NAN), "no finite size"),
        (("above", 1.0), "equals, at_least, at_most"),
        (("at_least", NAN), "expected=nan"),
    ],
)
def test_an_expectation_that_cannot_be_missed_is_refused(expectation, says):
    with pytest.raises(ValueError, match=says):
        Claim("a", "a", exact(1), *expectation)


def test_an_expectation_is_the_last_five_arguments_of_a_claim():
    claim = Claim("a", "a", exact(1), *at_most(3.0, "nats", "derived", 0.5))
    assert claim == Claim("a", "a", exact(1), "at_most", 3.0, 0.5, "nats", "derived")
    assert at_least(3.0, "nats", "derived", 0.5) == ("at_least", 3.0, 0.5, "nats", "derived")
    assert equals(3.0, 0.5, "nats", "derived") == ("equals", 3.0, 0.5, "nats", "derived")
    assert claims.largest([-2.0, 1.0]) == exact(2)


def test_record_holds_the_claim():
    claim = Claim("id", "said", Statistic(1, 0, 2), "at_most", 3.0, 0.5, "nats", "derived")
    assert list(claim.record().items()) == [
        *(("id", "id"), ("statement", "said"), ("measured", 1), ("low", 0), ("high", 2)),
        *(("relation", "at_most"), ("expected", 3.0), ("tolerance", 0.5), ("unit", "nats")),
        *(("source", "derived"), ("kind", "claim"), ("verdict", PASS)),
    ]


def test_checks_are_claims_of_another_kind_and_old_records_are_claims():
    both = [Claim(id, "said", exact(1), *equals(1.0, 0.0)) for id in "ab"]
    assert [claim.kind for claim in claims.checks(both)] == ["check", "check"]
    assert [claim.kind for claim in claims.checks(both, "b")] == ["claim", "check"]
    old = {"id": "c"}
    rows = [claim.record() for claim in claims.checks(both, "b")]
    assert claims.split_checks([*rows, old]) == ([rows[0], old], [rows[1]])
    with pytest.raises(ValueError, match="kind"):
        Claim("a", "a", exact(1), *equals(1.0, 0.0), kind="theorem")
