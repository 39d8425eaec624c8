"""Estimates print as a table, show as HTML, and answer short names that leave no doubt."""

import math
import re

import pytest

from gan_lab.api.estimates import Estimates
from gan_lab.metrics.estimate import Estimate

W1 = Estimate(0.5, "data units", 512, 0.4, 0.6, 0.11)
KL = Estimate(math.inf, "nats", 512, math.inf, math.inf)
ESTIMATES = Estimates(
    {
        "divergence/wasserstein": W1,
        "divergence/kl": KL,
        "modes/kl": W1,
        "neural_distance/wasserstein": KL,
        "neural_distance/gradient_norm": KL,
    }
)


def test_a_short_name_is_the_only_metric_of_that_name():
    assert ESTIMATES["wasserstein"] is W1
    assert ESTIMATES["divergence/wasserstein"] is W1
    assert ESTIMATES["neural_distance/wasserstein"] is KL


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("kl", "kl is divergence/kl and modes/kl of"),
        ("gradient_norm", "gradient_norm is none of divergence/wasserstein, "),
        ("js", "js is none of"),
        ("divergence", "divergence is none of"),
        ("", " is none of"),
    ],
)
def test_any_other_name_is_a_key_error_that_lists_what_there_is(name, words):
    with pytest.raises(KeyError, match=re.escape(words)):
        ESTIMATES[name]


def test_it_prints_as_a_table_with_a_line_an_estimate():
    lines = repr(ESTIMATES).splitlines()
    assert re.findall(r"\S+(?: \S+)*", lines[0]) == [
        *("quantity", "value", "95 % interval", "real data", "n", "unit")
    ]
    cells = [re.split(r" {2,}", line.strip()) for line in lines[2:]]
    assert [row[0] for row in cells] == list(ESTIMATES)
    assert cells[0][1:] == ["0.500", "[0.400, 0.600]", "0.110", "512", "data units"]
    assert cells[1][1:] == ["inf", "[inf, inf]", "512", "nats"]
    assert all(line == line.rstrip() for line in lines)
    assert str(ESTIMATES) == repr(ESTIMATES)


@pytest.mark.parametrize(
    "patch",
    [("rich.console._is_jupyter", lambda: True), ("rich.console.Console.is_terminal", True)],
    ids=["notebook", "terminal"],
)
def test_the_text_is_the_same_everywhere_and_shows_nothing_by_itself(patch, monkeypatch, capsys):
    plain = repr(ESTIMATES)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr(*patch)
    assert repr(ESTIMATES) == plain
    assert "\x1b" not in plain
    assert capsys.readouterr() == ("", "")


def test_above_4_dimensions_w1_is_called_that_of_samples():
    note = "divergence/wasserstein is sample W1 (n = 512), biased upwards as is that of real data"
    high = Estimates(ESTIMATES, high_dimensional=True)
    assert note in repr(high)
    assert f"<caption>{note}</caption>" in high._repr_html_()
    for other in (ESTIMATES, Estimates({"modes/kl": W1}, high_dimensional=True)):
        assert "sample W1" not in repr(other) + other._repr_html_()


def test_html_has_the_same_cells_and_escapes_names():
    shown = Estimates({"<script>": W1, "modes/kl": KL})._repr_html_()
    rows = re.findall(r"<tr>(.*?)</tr>", shown)
    cells = [re.findall(r"<t[hd]>(.*?)</t[hd]>", row) for row in rows]
    assert cells[0] == ["quantity", "value", "95 % interval", "real data", "n", "unit"]
    assert cells[1] == ["&lt;script&gt;", "0.500", "[0.400, 0.600]", "0.110", "512", "data units"]
    assert cells[2] == ["modes/kl", "inf", "[inf, inf]", "", "512", "nats"]
