"""Results that the metrics of one draw share are computed once, of the same objects alone."""

import numpy as np
import pytest
import torch

from gan_lab.metrics import memo
from gan_lab.metrics.wasserstein import as_points, distances
from tests.helpers import normal


def test_a_result_is_computed_once_within_the_block_and_anew_outside():
    calls = []

    @memo.memoize
    def double(values):
        calls.append(values)
        return 2 * values

    values, others = np.arange(3.0), np.arange(3.0)
    with memo.memo():
        first = double(values)
        assert double(values) is first
        assert double(others) is not first  # equal, and another object
        assert len(calls) == 2
    assert double(values) is not first
    with memo.memo():
        assert double(values) is not first
    assert len(calls) == 4


def test_an_object_that_is_gone_leaves_no_result_to_the_next_in_its_place():
    with memo.memo():
        for i in range(50):
            assert as_points(torch.full((2, 1), float(i)))[0, 0] == i


def test_points_are_shared_whatever_name_an_error_would_say():
    x = normal(5, 2)
    with memo.memo():
        assert as_points(x, "real") is as_points(x, "samples")
        assert distances(as_points(x), as_points(x)) is distances(as_points(x), as_points(x))
        bad = torch.full((2, 1), torch.nan)
        for name in ("real", "samples"):
            with pytest.raises(ValueError, match=f"{name} hold 2 non-finite rows"):
                as_points(bad, name)


def test_large_results_are_not_kept(monkeypatch):
    monkeypatch.setattr(memo, "_MAX_NUMBERS", 24)
    a, b = np.ones((5, 1)), np.ones((4, 1))
    with memo.memo():
        assert distances(a, b) is distances(a, b)
        assert distances(a, a) is not distances(a, a)
