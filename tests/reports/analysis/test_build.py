"""From run directories to groups, bands, tables and words, on runs whose numbers are known."""

import csv
import json
import math
import re

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from gan_lab.errors import ConfigError
from gan_lab.reports.analysis import build, load
from gan_lab.reports.analysis.aggregate import band, group_runs
from gan_lab.reports.analysis.best_steps import last_gain_step
from gan_lab.reports.analysis.model import AXES, EventRow
from gan_lab.reports.export import csv as csv_export
from tests.reports.example_runs import CONFIG, TAG, WGAN, run, two_groups

LABELS = ["minimax", "WGAN-GP"]


def problems_in(path):
    return group_runs([load.read_run(each) for each in load.find_runs([path])])


def table(report, title):
    return next(t for t in report.sections[0].tables if t.title.startswith(title))


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """Final values of two groups, by name; the report on their runs, and its problems."""
    home = tmp_path_factory.mktemp("two")
    return two_groups(home), *build.report([home])


def test_groups_are_what_differs_and_repeat_over_seeds(two):
    (problem,) = two[2]
    assert problem.name == "ring"
    assert [g.label for g in problem.groups] == LABELS
    assert [[r.seed for r in g.runs] for g in problem.groups] == [[0, 1, 2, 3, 4]] * 2
    assert set(problem.groups[0].choices) == {
        *("loss._target_", "regularizer.gradient_penalty._target_"),
        *("regularizer.gradient_penalty.weight", "regularizer.gradient_penalty.every"),
        "trainer.n_critic",
    }


def test_stacked_seeds_and_a_sweep_cannot_be_told_apart(tmp_path):
    stacked, sweep = tmp_path / "stacked", tmp_path / "sweep"
    for seed in range(3):
        run(stacked / f"seed_{seed}", seed, [1.0 + seed] * 11)
        run(sweep / f"{seed}_ring_minimax_seed_{seed}", seed, [1.0 + seed] * 11)
    (stacked / "config.yaml").write_text((stacked / "seed_0" / "config.yaml").read_text())
    one, two = (build.report([p])[0].sections[0] for p in (stacked, sweep))
    assert (one.verdict, one.sentences) == (two.verdict, two.sentences)
    assert [t.rows for t in one.tables] == [t.rows for t in two.tables]


def test_bands_equal_what_pandas_makes_of_the_files(two):
    (problem,) = two[2]
    for group in problem.groups:
        frame = pd.concat(pd.read_json(r.path / "metrics.jsonl", lines=True) for r in group.runs)
        by_step = frame.groupby("step")[TAG]
        half = stats.t.ppf(0.975, 4) * by_step.sem()
        ours = band(group, TAG, "step")
        np.testing.assert_array_equal(ours.x, by_step.mean().index)
        np.testing.assert_allclose(ours.mean, by_step.mean(), rtol=1e-12)
        np.testing.assert_allclose(ours.low, by_step.mean() - half, rtol=1e-10)
        np.testing.assert_allclose(ours.high, by_step.mean() + half, rtol=1e-10)
        np.testing.assert_array_equal(ours.n, by_step.count())


def test_the_spreadsheets_equal_what_pandas_makes_of_the_runs(two, tmp_path):
    finals, report, groups = two
    paths = csv_export.write(report, groups, tmp_path)
    runs, means, differences, curves = map(pd.read_csv, paths)
    means = means.set_index("group")[["mean", "low", "high"]]
    for label, values in zip(LABELS, map(np.array, finals.values()), strict=True):
        np.testing.assert_allclose(runs[runs.group == label].value, values, rtol=1e-12)
        low, high = stats.t.interval(0.95, 4, values.mean(), stats.sem(values))
        expected = [values.mean(), low, high]
        np.testing.assert_allclose(means.loc[label].to_numpy(float), expected, rtol=1e-10)
    gap, d = differences.iloc[0], np.array(finals["minimax"]) - np.array(finals["wgan"])
    low, high = stats.t.interval(0.95, 4, d.mean(), stats.sem(d))
    np.testing.assert_allclose([gap.difference, gap.low, gap.high], [d.mean(), low, high])
    assert bool(gap.supported)
    assert set(curves.axis) == {"step", "seconds"}


def test_equal_budgets_put_every_group_where_all_have_spent_as_much(tmp_path):
    for seed in range(3):
        run(tmp_path / f"a{seed}", seed, np.linspace(1.0, 0.0, 11))
        run(tmp_path / f"b{seed}", seed, np.linspace(2.0, 0.0, 11), **WGAN)
    report, _ = build.report([tmp_path])
    rows = {r[0]: r[1:] for r in table(report, "At equal budgets").rows}
    assert len(rows) == len(AXES)
    # 100 discriminator updates are 100 steps of the one and 33.3 of the other.
    assert rows["100 steps (rounds of the game)"] == ["0", "0"]
    (updates,) = (v for k, v in rows.items() if k.endswith("discriminator updates"))
    assert updates == ["0", "1.33"]


def test_a_difference_that_is_not_there_is_called_not_supported(tmp_path):
    rng = np.random.default_rng(3)
    for seed in range(5):
        run(tmp_path / f"a{seed}", seed, final=1 + 0.2 * float(rng.normal()))
        run(tmp_path / f"b{seed}", seed, final=1 + 0.2 * float(rng.normal()), **WGAN)
    report, _ = build.report([tmp_path])
    assert table(report, "Differences").rows[0][-1] == "not supported"
    assert any("is lower is not supported" in s for s in report.sections[0].sentences)


def test_a_large_difference_is_supported_in_words_and_in_the_table(two):
    _, report, _ = two
    first, second, *_ = report.sections[0].sentences
    assert first.startswith(f"On ring, {LABELS[1]} has the lowest mean exact W1")
    assert table(report, "At the end").rows[1][2] in first
    assert re.fullmatch(rf"{LABELS[1]} is lower, supported: -0\.\d+ \[.*\] to minimax\.", second)
    assert table(report, "Differences").rows[0][-1] == "supported"
    assert table(report, "Does the ranking hold").rows[1] == [LABELS[1], "5 of 5"]


def test_medians_stand_beside_means_from_eight_seeds_on(two, tmp_path):
    two_groups(tmp_path, 8)
    few, many = (table(report, "At the end") for report in (two[1], build.report([tmp_path])[0]))
    assert not any(c.startswith("median") for c in few.columns)
    assert any(c.startswith("median") for c in many.columns)


def test_a_diverged_and_a_killed_run_are_said_and_never_averaged(tmp_path):
    finals = two_groups(tmp_path)
    run(tmp_path / "d", 7, [1.0, 2.0], [0, 10], state="diverged")
    run(tmp_path / "k", 8, [1.0, 2.0, 3.0], [0, 10, 20], state="running")
    report, _ = build.report([tmp_path])
    incomplete = table(report, "Runs that did not come to their end")
    states = [("minimax", "7", "diverged"), ("minimax", "8", "unfinished")]
    assert [tuple(row[:3]) for row in incomplete.rows] == states
    row = table(report, "At the end").rows[0]
    assert row[1] == "5 of 7 (1 diverged, 1 unfinished)"
    assert row[2].startswith(f"{np.mean(finals['minimax']):.2f} [")
    assert any("did not come to their end" in s for s in report.sections[0].sentences)
    assert any("did not come to their end" in n for n in report.notes)


def test_a_single_seed_has_no_interval_and_supports_nothing(tmp_path):
    run(tmp_path / "a", 0, final=1.0)
    run(tmp_path / "b", 0, final=9.0, **WGAN)
    report, _ = build.report([tmp_path])
    assert table(report, "At the end").rows[0][2] == "1 (no interval)"
    assert table(report, "Differences").rows[0][-1] == "too few seeds to say"
    assert any("one seed" in note for note in report.notes)
    assert report.sections[0].sentences[1].startswith("Too few seeds")


def test_different_data_get_sections_of_their_own(tmp_path):
    two_groups(tmp_path, 2)
    digits = {"_target_": "gan_lab.data.digits.Digits", "n_held_out": 500}
    run(tmp_path / "digits", 0, data=digits)
    report, _ = build.report([tmp_path])
    assert sorted(s.name for s in report.sections) == ["digits", "ring"]
    assert any("different data sets" in note for note in report.notes)


def test_another_evaluator_is_another_section_and_its_name_says_why(tmp_path):
    run(tmp_path / "a", 0)
    run(tmp_path / "b", 0, evaluator={**CONFIG["evaluator"], "n": 64})
    run(tmp_path / "c", 1, evaluator={**CONFIG["evaluator"], "every": 20})  # as often as it likes
    sections = {p.name: len(p.groups[0].runs) for p in problems_in(tmp_path)}
    assert sections == {"ring, measured on 256 samples": 2, "ring, measured on 64 samples": 1}


def test_groups_of_different_length_are_compared_and_it_is_said(tmp_path):
    longer = {**CONFIG["trainer"], "steps": 200}
    for seed in range(3):
        run(tmp_path / f"a{seed}", seed)
        run(tmp_path / f"b{seed}", seed, trainer=longer)
    report, _ = build.report([tmp_path])
    assert report.sections[0].labels == ["minimax, 100 steps", "minimax, 200 steps"]
    assert any("different numbers of steps" in note for note in report.notes)


def test_the_same_run_twice_counts_once(tmp_path):
    run(tmp_path / "a", 0, [1.0] * 3, [0, 10, 20], state="running")
    run(tmp_path / "b", 0)
    report, (problem,) = build.report([tmp_path])
    assert [r.is_done for r in problem.groups[0].runs] == [True]
    assert any("left out" in note for note in report.notes)


def test_infinite_and_undefined_numbers_are_said_as_they_are(tmp_path):
    run(tmp_path / "a", 0, [math.inf] * 11)
    run(tmp_path / "b", 1, [1.0] * 11)
    report, groups = build.report([tmp_path])
    assert table(report, "At the end").rows[0][2] == "1 (no interval) (1 of 2)"
    assert np.isinf(band(groups[0].groups[0], TAG, "step").mean).all()


def test_training_stopped_helping_where_the_curve_ends_to_fall(tmp_path):
    rng = np.random.default_rng(1)
    for seed in range(5):
        fall = np.r_[np.linspace(2, 1, 6), [1.0] * 5] + 0.01 * rng.normal(size=11)
        run(tmp_path / f"a{seed}", seed, fall)
        run(tmp_path / f"b{seed}", seed, np.linspace(2, 1, 11) + 0.01 * rng.normal(size=11), **WGAN)
    (problem,) = problems_in(tmp_path)
    assert [last_gain_step(g, TAG) for g in problem.groups] == [50, 100]


def test_a_torn_last_line_and_a_missing_file_are_no_reason_to_give_up(tmp_path):
    path = run(tmp_path / "a", 0)
    with (path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 110, "divergence/wass')
    assert load.read_run(path).curves[TAG].steps[-1] == 100
    (path / "metrics.jsonl").unlink()
    assert load.read_run(path).curves == {}
    assert build.report([tmp_path])[0].sections[0].charts == []


def test_a_missing_an_empty_and_a_damaged_run_are_refused_by_name(tmp_path):
    with pytest.raises(ConfigError, match="no directory"):
        build.report([tmp_path / "nothing"])
    with pytest.raises(ConfigError, match="holds no run"):
        build.report([tmp_path])
    for name in ("status.json", "config.yaml"):
        (run(tmp_path / name[0], 0) / name).write_text("{[")
        with pytest.raises(ConfigError, match=re.escape(name)):
            build.report([tmp_path / name[0]])


def test_events_reach_the_report(tmp_path):
    path = run(tmp_path / "a", 3)
    event = {"step": 40, "seed": 3, "kind": "collapse", "numbers": {"spread": 0.1}}
    event |= {"explanation": "why", "advice": "try"}
    (path / "events.jsonl").write_text(json.dumps(event) + "\n")
    row = EventRow("minimax", 3, 40, "collapse", "spread 0.1", "why", "try")
    assert build.report([tmp_path])[0].sections[0].events == [row]


def test_the_same_seed_is_shown_of_all_groups(tmp_path):
    for seed in (0, 1):
        run(tmp_path / f"a{seed}", seed)
    run(tmp_path / "b0", 0, [1.0], [0], state="diverged", **WGAN)
    run(tmp_path / "b1", 1, **WGAN)
    section = build.report([tmp_path])[0].sections[0]
    assert set(section.seed.values()) == {1}


def test_csv_cells_of_what_does_not_exist_are_empty(tmp_path):
    run(tmp_path / "runs" / "a", 0, [1.0], [0], state="diverged")
    run(tmp_path / "runs" / "b", 1)
    path = csv_export.write(*build.report([tmp_path / "runs"]), tmp_path)[0]
    assert [row["value"] == "" for row in csv.DictReader(path.open())] == [True, False]


def test_a_curve_is_straight_between_two_measurements_and_nothing_before_or_after(tmp_path):
    run(tmp_path / "a", 0, [5.0] * 6, range(50, 101, 10))
    run(tmp_path / "b", 1, [3.0] * 6, range(0, 51, 10), state="diverged")
    run(tmp_path / "c", 0, [0.0, 4.0], [0, 100], **WGAN)
    run(tmp_path / "d", 1, [0.0, 0.0, 0.0], [0, 25, 100], **WGAN)
    (problem,) = problems_in(tmp_path)
    ours, straight = (band(group, TAG, "step") for group in problem.groups)
    np.testing.assert_array_equal(ours.x, range(0, 101, 10))
    np.testing.assert_array_equal(ours.mean, [3.0] * 5 + [4.0] + [5.0] * 5)
    np.testing.assert_array_equal(ours.n, [1] * 5 + [2] + [1] * 5)
    np.testing.assert_array_equal(straight.mean, [0.0, 0.5, 2.0])
