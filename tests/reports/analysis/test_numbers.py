"""Numbers with intervals: the same decimals, as many as the interval allows."""

import math
import re

import numpy as np
import pytest

from gan_lab.reports.analysis.numbers import as_text, interval_texts


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ((0.03, -0.057, 0.117), "0.03 [-0.06, 0.12]"),
        ((0.2, 0.188, 0.212), "0.20 [0.19, 0.21]"),
        ((0.31, 0.2405, 0.3795), "0.31 [0.24, 0.38]"),
        ((0.95, 0.826, 1.074), "0.95 [0.83, 1.07]"),
        ((123.4, 103.0, 143.8), "123 [103, 144]"),
        ((1.0, -99.0, 101.0), "1 [-99, 101]"),
        ((0.1, 0.0999, 0.1001), "0.1000 [0.0999, 0.1001]"),
        ((0.13, 0.003, 0.257), "0.130 [0.003, 0.257]"),  # an end above 0 is not shown as 0
        ((2.0, 2.0, 2.0), "2"),
        ((0.5, -math.inf, math.inf), "0.5"),
        ((1.2e9, 1.1e9, 1.3e9), "1.2e+09 [1.1e+09, 1.3e+09]"),
    ],
)
def test_known_numbers(numbers, text):
    assert as_text(*numbers) == text


def test_clipped_ends_keep_their_mark_and_the_decimals():
    assert as_text(0.049, -0.014, 0.112, "divergence/js") == "0.05 [0.00*, 0.11]"


def test_decimals_are_equal_and_half_widths_have_one_or_two_digits():
    noise = np.random.default_rng(0)
    for _ in range(500):
        half = 10 ** noise.uniform(-4, 3)
        value = float(noise.normal() * 10 ** noise.uniform(-4, 3))
        texts = interval_texts(value, value - half, value + half)
        decimals = {len(t.partition(".")[2]) for t in texts}
        assert len(decimals) == 1, texts
        unit = 10.0 ** -decimals.pop()
        for text, x in zip(texts, (value, value - half, value + half), strict=True):
            assert float(text) == pytest.approx(x, abs=0.5001 * unit)
            assert not re.fullmatch(r"-0(\.0*)?", text)
        # An end near 0 may have one digit more.
        is_zero = any(abs(x) < 5 * unit for x in (value - half, value + half))
        assert half < 100 * unit * (10 if is_zero or unit == 1 else 1)
        assert half > 0.5 * unit
