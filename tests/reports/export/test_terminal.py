"""The table of estimates on a screen of any width."""

import math

import pytest

from gan_lab.metrics.estimate import Estimate
from gan_lab.reports.export.terminal import show

ROWS = {
    "run [/x]": {
        "divergence/wasserstein": Estimate(1.234, "data units", 500, 1.1, 1.3, 0.2),
        "divergence/kl_real_fake": Estimate(math.inf, "nats", 500, math.inf, math.inf, 0.01),
    }
}


@pytest.mark.parametrize("width", [110, 80, 60])
def test_no_screen_is_too_narrow_for_a_number_or_a_name(width, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("FORCE_COLOR", "1")  # as on a terminal
    monkeypatch.setenv("NO_COLOR", "1")
    show("a[/b], step 2", ROWS)
    output = capsys.readouterr().out
    for number in ("1.234", "[1.100, 1.300]", "0.200", "500", "[inf, inf]"):
        assert number in output
    assert "\N{HORIZONTAL ELLIPSIS}" not in output
    assert "a[/b], step 2" in output


@pytest.mark.parametrize("high_dimensional", [True, False])
def test_above_4_dimensions_a_table_has_the_energy_distance_and_says_what_w1_is(
    high_dimensional, capsys
):
    energy = Estimate(0.5, "data units", 500, 0.4, 0.6, 0.01)
    both = {"divergence/energy": energy, **ROWS["run [/x]"]}
    show("two runs", {"a": both, "b": both}, high_dimensional)
    output = " ".join(capsys.readouterr().out.split())
    assert ("divergence/energy" in output) is high_dimensional
    assert ("divergence/wasserstein is sample W1 (n = 500)" in output) is high_dimensional
