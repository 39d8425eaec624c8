"""The badge and the headline, on runs whose paired differences are known exactly."""

import math
import re
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from gan_lab.reports.analysis import build
from gan_lab.reports.analysis.aggregate import Group, Problem
from gan_lab.reports.analysis.load import Record
from gan_lab.reports.analysis.statistics import holm, holm_levels, seeds_needed
from gan_lab.reports.analysis.verdict import verdict as verdict_of
from gan_lab.reports.plots.style import SERIES
from tests.reports import prepared
from tests.reports.example_runs import TAG, WGAN, estimate, run
from tests.reports.prepared import Recipe


def section_of(home, recipes, n_seeds):
    report, _ = build.report([prepared.write(home, recipes, n_seeds, pictures=False)])
    return report.sections[0]


def problem_of(values):
    """A problem in memory; values: label -> W1 at the end, one a seed."""
    groups = []
    for i, (label, each) in enumerate(values.items()):
        runs = [
            Record(
                *(Path(label), seed, {}, "done", 100, 100, None),
                finals={TAG: estimate(float(value))},
                curves={},
                events=[],
                best=None,
                timing=(1, 1, ""),
            )
            for seed, value in enumerate(each)
        ]
        groups.append(Group(label, {}, SERIES[i], runs))
    return Problem("ring", groups, [])


def with_gaps(**gaps):
    """Groups at 1 + gap; gaps: label -> mean and deviation of its paired difference from "a"."""
    shape = np.array([-1.2, -0.6, 0.0, 0.6, 1.2])
    shape /= shape.std(ddof=1)
    each = {label: 1 + gap + sd * shape for label, (gap, sd) in gaps.items()}
    return verdict_of(problem_of({"a": np.ones(5), **each}))


@pytest.fixture(scope="module")
def sections(tmp_path_factory):
    """Name of a prepared comparison -> its section."""
    home = tmp_path_factory.mktemp("prepared")
    return {n: section_of(home / n, *each) for n, each in prepared.COMPARISONS.items()}


def test_a_clear_winner_is_named_with_its_margin_interval_and_seeds(sections):
    verdict = sections["clear"].verdict
    half = stats.t.ppf(0.975, 4) * 0.056 / math.sqrt(5)
    assert (verdict.kind, verdict.badge) == ("better", "WGAN-GP is better")
    assert verdict.headline == (
        "WGAN-GP is better: W1, the distance to unseen data, is lower by 0.31 "
        f"[{0.31 - half:.2f}, {0.31 + half:.2f}] data units than for the next (non-saturating), "
        "in 5 of 5 seeds."
    )
    assert any("real data get 0.08" in detail for detail in verdict.details)


def test_two_that_cannot_be_told_apart_are_named_and_the_third_is_worse(sections):
    verdict = sections["undecided"].verdict
    assert (verdict.kind, verdict.badge) == ("undecided", "Undecided")
    assert verdict.headline.startswith("Undecided between WGAN-GP and hinge + spectral norm: ")
    assert "minimax" not in verdict.headline
    half = stats.t.ppf(0.975, 4) * 0.1 / math.sqrt(5)
    worse = f"by 0.65 [{0.65 - half:.2f}, {0.65 + half:.2f}] data units."
    assert verdict.details[0] == f"minimax is worse than WGAN-GP, {worse}"
    gaps = np.array(sections["undecided"].dots[1].seeds) - sections["undecided"].dots[0].seeds
    assert f"data units on average and in {(gaps > 0).sum()} of 5 seeds" in verdict.headline


def test_the_number_of_more_seeds_is_that_of_the_closed_form(sections):
    """The least significant of three pairs, so that Holm tests it at 5 %: z = 1.96 and 0.84."""
    needed = (1.959964 + 0.841621) ** 2 * (0.07 / 0.03) ** 2 + 1.959964**2 / 2
    match = re.search(
        r"if the true difference is this size, about (\d+) more seeds of each would show it "
        r"\(4 times in 5\)\.$",
        sections["undecided"].verdict.headline,
    )
    assert needed - 5 == pytest.approx(int(match[1]), abs=1.0)
    assert int(match[1]) == pytest.approx(40, abs=1)


def test_another_order_at_the_best_step_is_said_in_badge_headline_and_details(sections):
    verdict = sections["best_and_end"].verdict
    assert (verdict.kind, verdict.badge) == ("better", "WGAN-GP is better at the end")
    assert verdict.headline.startswith(
        "WGAN-GP is better at the end of training (step 2000): W1, the distance to unseen data, is "
    )
    assert verdict.headline.endswith(", but non-saturating was better at its best step.")
    lower = (
        r"At its best step non-saturating \(step \d00\) is lower than WGAN-GP at its own "
        r"\(step \d+00\): by 0\.1\d \[0\.\d\d, 0\.\d\d\] data units, paired over 5 seeds; "
        r"steps are chosen on validation data, values are of other, held-out samples\."
    )
    assert re.fullmatch(lower, verdict.details[0])


def test_with_two_seeds_nothing_is_supported_and_nothing_is_called_not_supported(sections):
    section = sections["two_seeds"]
    assert (section.verdict.kind, section.verdict.badge) == ("too_few_seeds", "Too few seeds")
    assert "with 2 seeds" in section.verdict.headline
    said = " ".join([section.verdict.headline, *section.verdict.details, *section.sentences])
    rows = [row for table in section.tables for row in table.rows]
    assert "not supported" not in said.lower()
    assert not any("not supported" in cell for row in rows for cell in row)


def test_dots_are_best_first_with_every_seed_and_what_real_data_get(sections):
    section = sections["clear"]
    assert [dot.label for dot in section.dots] == ["WGAN-GP", "non-saturating", "minimax"]
    assert [dot.value for dot in section.dots] == pytest.approx([0.15, 0.46, 0.92], abs=1e-9)
    assert all(len(dot.seeds) == 5 for dot in section.dots)
    low, high = stats.t.interval(0.95, 4, 0.46, stats.sem(section.dots[1].seeds))
    assert (section.dots[1].low, section.dots[1].high) == pytest.approx((low, high))
    assert section.real_data == pytest.approx(prepared.REAL_DATA)


def test_a_difference_that_fails_only_the_correction_is_said_so():
    """p = .03 alone: below 5 %, but above 2.5 %, at which Holm tests the second of three pairs."""
    deviation = 1000 * math.sqrt(5) / stats.t.ppf(1 - 0.03 / 2, 4)
    verdict = with_gaps(b=(1000, deviation), c=(1000, deviation))
    assert verdict.kind == "undecided"
    assert "enough if these two alone were compared, not among all pairs" in verdict.headline
    low = re.search(r"\[(\d+), \d+\]", verdict.headline)
    assert float(low[1]) == pytest.approx(
        1000 * (1 - stats.t.ppf(0.975, 4) / stats.t.ppf(0.985, 4)), abs=0.5
    )


def test_more_than_a_hundred_seeds_are_not_counted():
    assert ", more than 100 more seeds of each would show" in with_gaps(b=(0.001, 0.1)).headline
    assert ", about 95 more seeds of each would show" in with_gaps(b=(0.1, 0.1 / 0.2834)).headline


def test_all_that_are_not_worse_are_named():
    verdict = with_gaps(b=(0.01, 0.1), c=(0.02, 0.1), d=(0.9, 0.02))
    start = "Undecided between a, b and c: W1, the distance to unseen data, is lower for a than for"
    assert verdict.headline.startswith(f"{start} b by 0.01 [")
    assert verdict.details[0].startswith("d is worse than a, by 0.90 [")
    two = with_gaps(b=(0.01, 0.1), c=(0.8, 0.02), d=(0.9, 0.02)).details[0]
    assert re.fullmatch(r"c \(by 0\.80 .*\) and d \(by 0\.90 .*\) are worse than a\.", two)


def test_one_group_and_no_result_are_no_comparison(tmp_path):
    one = section_of(tmp_path / "one", [Recipe("minimax", 0.4)], 3).verdict
    assert (one.kind, one.badge) == ("one_group", "One group only")
    assert one.headline.startswith("minimax: W1, the distance to unseen data, is 0.40 [")
    run(tmp_path / "none" / "a", 0, [1.0], [0], state="diverged")
    none = build.report([tmp_path / "none"])[0].sections[0]
    assert (none.verdict.kind, none.verdict.badge, none.dots) == ("no_result", "No result", [])
    assert "minimax (1 diverged of 1)" in none.verdict.details[0]


def test_a_group_of_which_too_few_seeds_finished_leaves_the_question_open(tmp_path):
    for seed in range(5):
        run(tmp_path / f"a{seed}", seed, final=0.2 + 0.01 * seed, **WGAN)
        if seed < 2:
            run(tmp_path / f"b{seed}", seed, final=0.9 + 0.02 * seed)
        else:
            run(tmp_path / f"b{seed}", seed, [1.0], [0], state="diverged")
    verdict = build.report([tmp_path])[0].sections[0].verdict
    assert verdict.kind == "too_few_seeds"
    assert "0.705 data units below minimax, with 2 seeds" in verdict.headline
    assert any("minimax (3 diverged of 5)" in detail for detail in verdict.details)


def test_without_stored_best_checkpoints_the_curves_tell_of_another_order(tmp_path):
    for seed in range(5):
        shift = 0.01 * seed
        run(tmp_path / f"a{seed}", seed, np.r_[1.0, 0.1 + shift, np.linspace(0.2, 0.9, 9)])
        run(tmp_path / f"b{seed}", seed, np.linspace(1.0, 0.4 + 1.1 * shift, 11), **WGAN)
    verdict = build.report([tmp_path])[0].sections[0].verdict
    assert verdict.badge == "WGAN-GP is better at the end"
    assert verdict.headline.endswith(", but minimax was better at its best step.")
    # (0.4 + 0.022) - (0.1 + 0.02) over seeds, whose deviation is 0.1 of 0.01 * (0, 1, 2, 3, 4).
    lower = (
        "At its best step minimax (step 10) is lower than WGAN-GP at its own (step 100): by 0.302"
    )
    assert verdict.details[0].startswith(
        f"{lower} [0.300, 0.304] data units, paired over 5 seeds; "
    )
    assert verdict.details[0].endswith("the lowest points of the curves, which flatters.")


def test_where_nothing_differs_a_winner_is_named_in_at_most_5_percent():
    noise = np.random.default_rng(4)
    kinds = [
        verdict_of(problem_of({name: 1 + 0.1 * noise.normal(size=5) for name in "abc"})).kind
        for _ in range(400)
    ]
    assert set(kinds) <= {"better", "undecided"}
    assert kinds.count("better") / 400 <= 0.05


def test_with_as_many_more_seeds_as_are_said_80_percent_of_comparisons_name_the_winner():
    headline = with_gaps(b=(0.3, 0.4)).headline
    n = 5 + int(re.search(r"about (\d+) more seeds of each", headline)[1])
    noise = np.random.default_rng(5)
    better = sum(
        verdict_of(problem_of({"a": np.ones(n), "b": 1.3 + 0.4 * noise.normal(size=n)})).badge
        == "a is better"
        for _ in range(400)
    )
    assert better / 400 == pytest.approx(0.8, abs=0.06)


def test_groups_without_common_seeds_say_how_many_each_has(tmp_path):
    for seed in range(4):
        run(tmp_path / f"a{seed}", seed, final=0.2 + 0.01 * seed, **WGAN)
        run(tmp_path / f"b{seed}", 10 + seed, final=0.9 + 0.02 * seed)
    headline = build.report([tmp_path])[0].sections[0].verdict.headline
    assert headline.startswith("WGAN-GP is better: W1, the distance to unseen data, is lower by ")
    assert headline.endswith("data units than for minimax, over 4 seeds each.")


@pytest.mark.parametrize("level", [0.05, 0.05 / 3, 0.05 / 10])
@pytest.mark.parametrize("effect", [0.4, 0.7, 1.0])
def test_the_seeds_needed_have_80_percent_power_by_the_noncentral_t(level, effect):
    def power(n):
        ncp, limit = effect * math.sqrt(n), stats.t.ppf(1 - level / 2, n - 1)
        upper = stats.nct.sf(limit, n - 1, ncp)
        return upper + stats.nct.cdf(-limit, n - 1, ncp)

    exact = next(n for n in range(2, 500) if power(n) >= 0.8)
    assert seeds_needed(effect, 1.0, level) == pytest.approx(exact, abs=1.1)


def test_seeds_needed_depend_on_the_ratio_alone_and_no_gap_needs_infinitely_many():
    assert seeds_needed(-0.3, 0.6) == pytest.approx(seeds_needed(1.0, 2.0), rel=1e-12)
    assert seeds_needed(0.0, 1.0) == math.inf


def test_holms_levels_rise_from_level_over_m_to_level():
    assert holm_levels([0.01, 0.04, 0.03]) == pytest.approx([0.05 / 3, 0.05, 0.025])
    levels = holm_levels([math.nan, 0.9, 0.001])
    assert math.isnan(levels[0])
    assert levels[1:] == pytest.approx([0.05, 0.025])
    assert holm([0.02, 0.9, 0.001]) == [True, False, True]


def with_curves(home, **ends):
    """Runs whose W1 is on a straight line from 1 at step 0 to their end at step 100.

    ends: "wgan" (4 gradient evaluations a step) or "minimax" (2) -> W1 at the end.
    """
    for name, end in ends.items():
        for seed in range(5):
            noise = 0.002 * np.random.default_rng(seed).normal() if name == "wgan" else 0.0
            values = np.linspace(1, end, 11) + noise
            run(home / f"{name}{seed}", seed, values, **(WGAN if name == "wgan" else {}))
    return build.report([home])[0].sections[0].verdict


def test_at_equal_work_the_same_group_may_be_lower_too(tmp_path):
    """After 200 evaluations WGAN-GP is at half of its way: (1 + 0.2) / 2 = 0.6 against 0.9."""
    verdict = with_curves(tmp_path, wgan=0.2, minimax=0.9)
    assert verdict.badge == "WGAN-GP is better"
    start = "Whole recipes are compared (n_critic 1 of minimax, 3 of WGAN-GP); at equal work (200"
    text = f"{start} gradient evaluations each) WGAN-GP is lower, too: by "
    number = r"0\.\d+ \[0\.(29|30)\d+, 0\.30\d+\] data units than minimax\."
    assert re.fullmatch(re.escape(text) + number, verdict.details[0])


def test_what_a_verdict_says_of_recipes_is_not_noted_again(tmp_path):
    home = prepared.write(tmp_path / "a", prepared.CLEAR, 5, pictures=False)
    report = build.report([home])[0]
    assert "Whole recipes" in report.sections[0].verdict.details[0]
    assert report.notes == []
    few = build.report([prepared.write(tmp_path / "b", prepared.CLEAR, 2, pictures=False)])[0]
    recipes = "(n_critic 3 of WGAN-GP, 1 of the others)"
    assert few.notes == [f"ring: whole recipes are compared, not losses alone {recipes}."]


def test_at_equal_work_the_order_may_turn(tmp_path):
    """(1 + 0.2) / 2 = 0.6 against 0.5."""
    verdict = with_curves(tmp_path, wgan=0.2, minimax=0.5)
    assert verdict.badge == "WGAN-GP is better"
    number = r"0\.(09|10)\d+ \[0\.09\d+, 0\.10\d+\] data units than WGAN-GP\."
    assert re.search(f"the order turns: minimax is lower by {number}$", verdict.details[0])


def test_at_equal_work_there_may_be_nothing_to_see(tmp_path):
    noise = np.random.default_rng(0)
    for seed in range(5):
        run(tmp_path / f"a{seed}", seed, np.linspace(1, 0.6 + 0.1 * noise.normal(), 11))
        run(tmp_path / f"b{seed}", seed, np.linspace(1, 0.2, 11), **WGAN)
    verdict = build.report([tmp_path])[0].sections[0].verdict
    assert verdict.badge == "WGAN-GP is better"
    assert re.search(
        r"no difference is shown \(\S+ is lower by 0\.\d+ \[-.*: it may be chance\)\.$",
        verdict.details[0],
    )


def test_where_a_step_is_the_same_work_nothing_is_said_of_equal_work(tmp_path):
    optim = {"_target_": "gan_lab.engine.optimizers.Adam", "lr": 0.01}
    for seed in range(5):
        run(tmp_path / f"a{seed}", seed, final=0.2 + 0.01 * seed)
        run(tmp_path / f"b{seed}", seed, final=0.5 + 0.02 * seed, optim=optim)
    verdict = build.report([tmp_path])[0].sections[0].verdict
    assert verdict.kind == "better"
    assert "equal work" not in " ".join(verdict.details)
    assert verdict.details[0].endswith(
        "real data get 0.1, as a perfect generator would on average."
    )


def test_the_title_tells_comparisons_apart_unless_it_is_given(tmp_path):
    home = prepared.write(tmp_path, prepared.CLEAR[:2], 2, pictures=False)
    auto, given = build.report([home])[0], build.report([home], "Mine")[0]
    assert auto.title == "non-saturating and WGAN-GP on ring"
    assert auto.question == "Which of 2 choices makes the best samples on ring, and by how much?"
    assert (auto.has_own_title, given.title, given.has_own_title) == (False, "Mine", True)


def test_a_section_says_when_it_ends_whether_seeds_are_paired_and_how_many_modes(sections):
    section = sections["best_and_end"]
    assert section.end == "at the end of training (step 2000)"
    assert section.is_paired
    assert section.modes == {
        "minimax": "2 of 8 modes",
        "non-saturating": "5 of 8 modes",
        "WGAN-GP": "7 of 8 modes",
    }
