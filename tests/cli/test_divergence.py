import json
import math

import pytest

from gan_lab.cli.divergence import divergence
from gan_lab.errors import ConfigError

FAIR, BIASED = "p=[0.5,0.5]", "q=[0.9,0.1]"


def report(capsys, *arguments):
    assert divergence([*arguments, "format=json"]) == 0
    return json.loads(capsys.readouterr().out, parse_constant=pytest.fail)


def test_the_numbers_in_nats_and_bits(capsys):
    out = report(capsys, FAIR, BIASED)
    h = -0.9 * math.log(0.9) - 0.1 * math.log(0.1)
    nats = {
        "entropy_p": math.log(2),
        "entropy_q": h,
        "cross_entropy_p_q": -0.5 * math.log(0.09),
        "cross_entropy_q_p": math.log(2),
        "kl_p_q": -0.5 * math.log(0.36),
        "kl_q_p": math.log(2) - h,
        "js": 0.101749225079196689,
    }
    for key, value in nats.items():
        assert out[key]["nats"] == pytest.approx(value, abs=1e-14)
        assert out[key]["bits"] == pytest.approx(value / math.log(2), abs=1e-14)
    assert out["total_variation"] == pytest.approx(0.4, abs=1e-15)
    assert out["wasserstein_1"] == pytest.approx(0.4, abs=1e-15)
    assert (out["p"], out["q"], out["x"]) == ([0.5, 0.5], [0.9, 0.1], [0, 1])
    assert out["notes"] == []


def test_positions_fractions_and_the_order_of_arguments(capsys):
    out = report(capsys, "x=[10, -.5,1e1]", "q=[ 0.0,1,0]", "p=[1/3,1/3,1/3]")
    assert out["x"] == [10, -0.5, 10]
    assert out["wasserstein_1"] == pytest.approx(7, abs=1e-14)
    assert out["entropy_p"]["nats"] == pytest.approx(math.log(3), abs=1e-15)


def test_infinity_is_a_string_and_says_where_it_comes_from(capsys):
    out = report(capsys, "p=[0.75,0,0.25]", "q=[0.5,0.5,0]")
    for key in ("kl_p_q", "kl_q_p", "cross_entropy_p_q", "cross_entropy_q_p"):
        assert out[key] == {"nats": "inf", "bits": "inf"}
    assert out["notes"] == [
        "KL(p||q) is infinite: q has no mass at index 2, where p has 0.25",
        "KL(q||p) is infinite: p has no mass at index 1, where q has 0.5",
    ]
    assert divergence(["p=[1,0]", "q=[.5,.5]"]) == 0
    shown = capsys.readouterr().out
    assert "KL(q||p) is infinite: p has no mass at index 1, where q has 0.5" in shown
    assert shown.count("inf ") >= 3


def test_the_table_shows_every_quantity_once(capsys):
    assert divergence([FAIR, BIASED, "x=[0,10]", "format=table"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line.split()]
    rows = {" ".join(line[:-2]): line[-2:] for line in lines if len(line) > 2}
    assert rows["entropy H(p)"] == ["0.693147", "1.000000"]
    assert rows["entropy H(q)"] == ["0.325083", "0.468996"]
    assert rows["cross entropy H(p, q)"] == ["1.203973", "1.736966"]
    assert rows["cross entropy H(q, p)"] == ["0.693147", "1.000000"]
    assert rows["KL(p||q)"] == ["0.510826", "0.736966"]
    assert rows["KL(q||p)"] == ["0.368064", "0.531004"]
    assert rows["JS(p, q)"] == ["0.101749", "0.146793"]
    assert ["total", "variation", "0.400000", "(a", "probability)"] in lines
    assert ["W1", "4", "(in", "the", "unit", "of", "x", "=", "[0,", "10])"] in lines


def test_zero_is_shown_as_zero(capsys):
    out = report(capsys, "p=[0.1,0.2,0.7,0]", "q=[0.1,0.2,0.7,0]")
    assert out["kl_p_q"]["nats"] == out["js"]["nats"] == out["wasserstein_1"] == 0
    assert "-" not in json.dumps(out)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([BIASED], "p is missing; say `python -m gan_lab divergence"),
        ([FAIR, BIASED, "pp=[1]"], "unknown key 'pp'; did you mean 'p'"),
        ([FAIR, BIASED, "Q=[1]"], "unknown key 'Q'; did you mean 'q'"),
        ([FAIR, BIASED, "formt=json"], "unknown key 'formt'; did you mean 'format'"),
        ([FAIR, BIASED, "seed=1"], "unknown key 'seed'; known are format, p, q, x"),
        ([FAIR, BIASED, "p.a=1"], "unknown key 'p.a'"),
        ([FAIR, "q=[0.3,0.3]"], "sum of q = 0.6 is not 1 within 1e-09; divide q by its sum"),
        ([FAIR, "q=[1.5,-0.5]"], r"q\[1\] = -0.5 is negative"),
        ([FAIR, "q=[1,1e999]"], r"q\[1\]=1e999 is not finite"),
        ([FAIR, "q=[a,b]"], r"q\[0\]=a is no number"),
        ([FAIR, "q=[true,0]"], r"q\[0\]=true is no number"),
        ([FAIR, "q=[[1],0]"], r"q\[0\]=\[1\] is no number"),
        ([FAIR, "q=[1,]"], r"q\[1\]= is no number"),
        ([FAIR, "q=["], r"q=\[ is no list of numbers"),
        ([FAIR, "q=${oc.env:HOME}"], "is no list of numbers"),
        ([FAIR, BIASED, "x=[0,inf]"], r"x\[1\]=inf is not finite"),
    ],
)
def test_a_wrong_input_is_refused_in_one_line(arguments, message, capsys):
    with pytest.raises(ConfigError, match=message) as caught:
        divergence(arguments)
    assert "\n" not in str(caught.value)
    assert capsys.readouterr().out == ""
