"""Comparisons on images go by FD in features; W1 between pixels is told and decides nothing."""

import json
import re

import pytest

from gan_lab.cli import compare
from gan_lab.reports.analysis import build
from gan_lab.reports.analysis.best_steps import best_values
from gan_lab.reports.export import csv
from gan_lab.reports.export.markdown import markdown
from gan_lab.reports.html import page
from gan_lab.runs.headline import FRECHET, HEADLINES, WASSERSTEIN, newest_headline
from tests.reports import prepared

BEST, BLURRED = "WGAN-GP", "minimax"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return prepared.write_images(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="module")
def section(home):
    return build.report([home])[0].sections[0]


def test_a_headline_is_the_first_that_was_measured_and_says_its_own_name():
    row = {WASSERSTEIN: 11.0, FRECHET: 0.03121, f"{FRECHET}_floor": 0.00701}
    assert newest_headline(row, 1600, True) == "FD 0.0312 at step 1600, real data 0.00701"
    assert newest_headline({WASSERSTEIN: 3.0}, 7, False) == "W1 3 at step 7"
    assert newest_headline({WASSERSTEIN: 3.0}, 7, True, 64) == "sample W1 (n = 64) 3 at step 7"
    assert newest_headline({"loss/generator": 1.0}, 7, True) == ""


def test_fd_decides_where_the_blurred_images_have_the_lowest_w1(section):
    values = {label: each[WASSERSTEIN] for label, each in section.finals.items()}
    assert min(values, key=values.get) == BLURRED, "the runs show nothing"
    assert (section.headline, section.name) == (FRECHET, "mnist_5k")
    assert section.verdict.badge == f"{BEST} is better"
    assert "FD, the Frechet distance to unseen data, is lower by 0.0019" in section.verdict.headline
    assert "data units" not in " ".join([section.verdict.headline, *section.verdict.details])
    assert [dot.label for dot in section.dots] == list(prepared.IMAGES)
    assert section.dots[0].value == pytest.approx(0.0139, rel=1e-6)
    assert section.real_data == 0.0061


def test_the_legible_share_is_said_in_the_verdict_and_beside_the_pictures(section):
    [text] = [each for each in section.verdict.details if each.startswith(f"FD of {BEST} is")]
    assert text.endswith("; 92 % of its samples are legible (real data 99 %).")
    assert section.modes[BLURRED] == "11 % legible; 10 of 10 modes"


def test_w1_of_pixels_is_told_with_what_it_prefers_and_has_no_table_of_differences(section):
    better = section.parts[0]
    assert better.sentences[0] == (
        "W1 is between pixels here: it is lower for blurred images than for sharp real ones. FD "
        f"decides. The lowest W1 is 11.2 of {BLURRED} (real data 11.7)."
    )
    titles = [table.title for table in section.tables]
    assert "Differences: Frechet distance to unseen data" in titles
    assert "Differences: Exact W1 to unseen data" not in titles
    assert better.charts[0].tag == FRECHET
    finals = section.tables[0]
    assert finals.columns[2:4] == ["Frechet distance to unseen data", "Share of legible samples"]
    assert "W1 is between pixels here" in finals.note


def test_the_best_checkpoint_is_compared_only_where_the_headline_chose_it(home, tmp_path):
    [problem] = build.report([home])[1]
    [group] = [group for group in problem.groups if group.label == BEST]
    assert len(best_values(group, FRECHET)) == len(group.runs) == 5
    assert best_values(group, WASSERSTEIN) == {}
    best = json.loads((home / "0_seed_0" / "status.json").read_text())["best"]
    assert best_values(group, FRECHET)[0] == best["held_out"]["value"]
    [table] = [t for t in build.section(problem).tables if "more training" in t.title]
    assert table.columns[-2:] == ["FD there", "FD there - at the end"]


def test_no_word_of_inceptions_numbers_is_on_the_page_in_markdown_or_in_csv(home):
    report, problems = build.report([home])
    texts = [markdown(report), page.render(report)]
    texts += [
        str([header, *map(list, rows)]) for header, rows in csv.tables(report, problems).values()
    ]
    for text in texts:
        assert "Frechet" in text or FRECHET in text
        assert not re.search(r"\b(FID|KID|Inception)\b", text)


def test_the_terminal_shows_fd_and_not_w1(home, tmp_path, capsys):
    assert compare.compare([str(home), f"output={tmp_path / 'page'}"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "Frechet" in said
    assert "legible" in said
    assert "W1" not in said


def test_every_headline_has_a_curve_that_is_better_where_lower():
    from gan_lab.reports.analysis.charts import CURVES

    assert all(CURVES[tag].better == -1 for tag in HEADLINES)
