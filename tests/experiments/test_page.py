"""Pages of studies and of claims: verdicts first, and no text becomes markup."""

import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from gan_lab.experiments import page
from gan_lab.reports.plots.samples import encode_png

PNG = encode_png(np.zeros((4, 6, 3), np.uint8))
EVIL = "<script>alert(1)</script> \"x\" onload='y' & co"


def claim(verdict, statement="One is one.", **more):
    numbers = {"measured": 1.25, "low": 1.0, "high": 1.5, "expected": 2.0, "tolerance": 0.1}
    row = {"id": "one", "statement": statement, "relation": "at_most", "unit": "apples"}
    return {**row, **numbers, "source": "a book", "verdict": verdict, **more}


def record(*verdicts, text="a text"):
    return {
        "claims": [claim(verdict, text) for verdict in verdicts],
        **{"question": text, "reference": text, "notes": [text], "seconds": 2.0},
        "config": {"quick": False, "n_seeds": 3, "data": [text], "_target_": text},
    }


def badges(source):
    return re.findall(r'<span class="badge (\w+)">([^<]+)', source)


class Tags(HTMLParser):
    def __init__(self, source):
        super().__init__()
        self.names = []
        self.feed(source)

    def handle_starttag(self, tag, attrs):
        self.names.append((tag, sorted(name for name, _ in attrs)))


@pytest.mark.parametrize(
    ("verdicts", "summary"),
    [
        (["pass"] * 2, ("good", "2 of 2 claims shown")),
        (["pass", "inconclusive"], ("open", "1 of 2 claims shown, 1 inconclusive")),
        (
            ["pass", "fail", "inconclusive"],
            ("bad", "1 of 3 claims shown, 1 inconclusive, 1 contradicted"),
        ),
        ([], ("note", "nothing measured")),
    ],
)
def test_one_badge_sums_up_all_claims_and_the_worst_stand_first(verdicts, summary):
    source = page.study_page("A study", record(*verdicts), {"first": PNG}, {})
    first, *others = badges(source)
    assert first == summary
    words = {"pass": "shown", "fail": "contradicted", "inconclusive": "inconclusive"}
    order = ["contradicted", "inconclusive", "shown"]
    assert [word for _, word in others] == sorted((words[v] for v in verdicts), key=order.index)


def test_checks_are_counted_and_listed_apart_and_unfold_when_one_fails():
    def source(*verdicts):
        saved = record("pass", "inconclusive")
        saved["claims"] += [claim(verdict, "A theorem.", kind="check") for verdict in verdicts]
        return page.study_page("A study", saved, {}, {})

    whole = source("pass", "pass")
    assert badges(whole)[0] == ("open", "1 of 2 claims shown, 1 inconclusive, 2 of 2 checks hold")
    assert whole.index(">Checks<") < whole.index("<summary>2 checks") < whole.index("A theorem.")
    broken = source("fail", "pass")
    assert badges(broken)[0] == ("bad", "1 of 2 claims shown, 1 inconclusive, 1 of 2 checks hold")
    assert "<summary>2 checks" not in broken
    assert badges(broken)[-2:] == [("bad", "broken"), ("good", "holds")]
    only = page.study_page("A study", {**record(), "claims": [claim("pass", kind="check")]}, {}, {})
    assert badges(only)[0] == ("good", "1 of 1 checks hold")
    assert ">Checks<" not in page.study_page("A study", record("pass"), {}, {})


def test_a_claim_says_its_number_and_what_was_expected():
    source = page.study_page("A study", record("pass"), {}, {})
    assert "measured 1.25 [1, 1.5] apples; expected &lt;= 2 +- 0.1 apples" in source


def test_many_claims_unfold_below_the_first_and_what_is_contradicted_is_always_in_sight():
    for verdicts, n_open in ((["pass"] * 30, 5), (["pass"] * 20 + ["fail"] * 9, 9)):
        source = page.study_page("A study", record(*verdicts), {}, {})
        assert len(badges(source.partition("<details")[0])) == 1 + n_open
        assert len(badges(source)) == 1 + len(verdicts)
        assert f"{len(verdicts) - n_open} more claims" in source


def test_the_first_figure_stands_beside_the_claims_and_the_others_follow():
    source = page.study_page("A study", record("pass"), {"main": PNG, "other_one": PNG}, {})
    assert source.index("A study: main") < source.index(">Figures<")
    assert source.index(">Figures<") < source.index("A study: other one") < source.index(">Notes<")
    assert 'href="figures/other_one.png"' in source


@pytest.mark.parametrize("quick", [True, False])
@pytest.mark.parametrize("verdict", ["pass", "inconclusive"])
def test_a_quick_study_says_that_it_is_one_and_whether_seeds_are_too_few(quick, verdict):
    saved = record(verdict)
    saved["config"]["quick"] = quick
    source = page.study_page("A study", saved, {}, {})
    assert ("Quick scale (quick=true, 3 seeds)" in source) == quick
    assert ("too few seeds" in source) == (quick and verdict == "inconclusive")


def test_no_text_of_a_record_becomes_markup():
    def pages(text):
        verdicts = ("pass", "fail")
        saved, gif = record(*verdicts, text=text), {text: io_gif()}
        yield page.study_page(text, saved, {text: PNG, "b": PNG}, gif)
        row = {"evidence": "V", "citation": text, **claim("pass", text)}
        skipped = {**row, "measured": None, "verdict": f"skipped: {text}"}
        section = page.study_section(text, text, saved, {text: PNG})
        yield page.claims_page([row, skipped], [section], text)

    for evil, plain in zip(pages(EVIL), pages(re.sub(r"[^\w ]", "x", EVIL)), strict=True):
        assert Tags(evil).names == Tags(plain).names
        assert "<script>alert" not in evil


def io_gif():
    buffer = io.BytesIO()
    Image.new("RGB", (2, 2)).save(buffer, "GIF")
    return buffer.getvalue()


def test_what_was_not_measured_says_why_and_what_was_only_recalled_is_not_called_published():
    row = {"evidence": "R", "citation": "a paper", **claim("pass")}
    skipped = {**row, "measured": None, "verdict": "skipped: needs gpu"}
    source = page.claims_page([row, skipped], [], "here")
    assert badges(source)[0] == ("good", "1 of 1 claims shown")
    assert ("note", "not measured") in badges(source)
    assert "not measured: needs gpu" in source
    assert "recalled, not read" in source
    assert "a paper" not in source
