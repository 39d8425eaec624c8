"""What stands below the first screen: its order, and one sentence on what each curve means here."""

import json

import numpy as np
import pytest

from gan_lab.reports.analysis import build, why
from gan_lab.reports.analysis.aggregate import group_runs
from gan_lab.reports.analysis.load import find_runs, read_run
from gan_lab.reports.analysis.tables import final_numbers
from gan_lab.reports.export.markdown import markdown
from gan_lab.reports.html import first_screen
from tests.reports import example_runs, prepared
from tests.reports.prepared import Recipe


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    home = tmp_path_factory.mktemp("clear")
    recipes, _ = prepared.COMPARISONS["clear"]
    return build.report([prepared.write(home, recipes, 3, pictures=False)])[0]


def sentences(report, title):
    return next(part.sentences for part in report.sections[0].parts if part.title == title)


def test_parts_come_in_the_order_of_the_page_and_hold_everything_once(report):
    (section,) = report.sections
    kinds = [part.kind for part in section.parts]
    assert list(dict.fromkeys(kinds)) == ["curves", "budgets", "why", "details"]
    assert kinds == sorted(kinds, key=["curves", "budgets", "why", "details"].index)
    charts = [chart.tag for part in section.parts for chart in part.charts]
    assert sorted(charts) == sorted(chart.tag for chart in section.charts)
    tables = [table.title for part in section.parts for table in part.tables]
    assert sorted(tables) == sorted(table.title for table in section.tables)
    assert [len(part.events) for part in section.parts if part.events] == [len(section.events)]


def test_a_gradient_that_falls_far_from_the_data_is_called_so(report):
    (text,) = sentences(report, "Do gradients vanish?")
    # The medians of three at both ends are 18 of 20 intervals apart: 10^(4.2 * 0.9) = 6000.
    assert "falls 6,000-fold for minimax while its samples are far from the data" in text
    assert "it stays within a factor of" in text
    assert text.endswith("for the others.")


def test_a_gradient_that_falls_near_the_data_is_no_loss(tmp_path):
    recipes = [Recipe("minimax", 0.1, gradient_decades=3.0), Recipe("WGAN-GP", 0.12, 0.01)]
    prepared.write(tmp_path, recipes, 2, pictures=False)
    (problem,) = group_runs([read_run(path) for path in find_runs([tmp_path])])
    (text,) = why.gradients(problem.groups)
    assert "fold for minimax, whose samples have come close to the data: that is no loss" in text


def test_a_curve_may_be_read_where_the_discriminator_is_nearly_optimal(report):
    (text,) = sentences(report, "Can the curve be believed?")
    readable, unreadable = text.split(", and may not for ")
    assert "minimax (" in readable
    assert "non-saturating (" in unreadable


def test_where_no_discriminator_is_nearly_optimal_no_curve_may_be_read(tmp_path):
    prepared.write(tmp_path, [Recipe("minimax", 0.3, near_optimal=0.1)], 2, pictures=False)
    (problem,) = group_runs([read_run(path) for path in find_runs([tmp_path])])
    (text,) = why.reliability(problem.groups)
    assert text.startswith("A discriminator's own curve may not be read as a distance for minimax")


def test_the_most_frequent_event_is_explained_and_others_are_counted(report):
    (text,) = sentences(report, "What happened?")
    assert text.startswith("Most often ")
    assert "in 3 of 3 runs of minimax" in text
    assert "oscillation in 3 of 3 runs of non-saturating" in text


def test_markdown_begins_with_badge_and_headline(report):
    text = markdown(report)
    verdict = report.sections[0].verdict
    lead = next(line for line in text.splitlines() if line.startswith("**"))
    assert lead == f"**{verdict.badge}.** {verdict.headline}".replace("[", r"\[").replace(
        "]", r"\]"
    )
    parts = [p for p in report.sections[0].parts if p.sentences or p.tables or p.events]
    order = [text.index(f"### {part.title}") for part in parts]
    assert order == sorted(order)
    assert "floor" not in text


def test_intervals_of_skewed_draws_or_seeds_are_marked_and_explained(tmp_path):
    def table(where):
        (problem,) = group_runs([read_run(path) for path in find_runs([where])])
        return final_numbers(problem.groups)

    example_runs.two_groups(tmp_path / "runs")
    assert all("~" not in cell for row in table(tmp_path / "runs").rows for cell in row)
    assert "~" not in table(tmp_path / "runs").note
    status = tmp_path / "runs" / "wgan_seed_2" / "status.json"
    stored = json.loads(status.read_text())
    stored["final"][example_runs.TAG]["is_skewed"] = True  # one run's repeats say so
    status.write_text(json.dumps(stored))
    marks = {row[0]: "]~" in row[2] for row in table(tmp_path / "runs").rows}
    assert sorted(marks.values()) == [False, False, True]  # minimax, real data; WGAN
    assert "~ interval too narrow for such tails" in table(tmp_path / "runs").note
    for seed in range(10):  # nine seeds agree, one is far off
        values = np.full(11, 1.0 + 0.001 * seed + 9.0 * (seed == 4))
        example_runs.run(tmp_path / "seeds" / str(seed), seed, values)
    assert "]~" in table(tmp_path / "seeds").rows[0][2]
    (report, _) = build.report([tmp_path / "seeds"])
    (dot,) = report.sections[0].dots
    assert dot.is_skewed
    assert "~ interval too narrow for such tails." in first_screen.dots(report.sections[0], {})
