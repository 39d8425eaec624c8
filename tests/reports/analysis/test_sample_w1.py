"""Above 4 dimensions comparisons go by the energy distance; W1 says what real data get of it."""

import json
import re
from unittest.mock import Mock

import pytest

from gan_lab.cli import compare
from gan_lab.reports.analysis import build
from gan_lab.reports.analysis.best_steps import best_values
from gan_lab.reports.export import tensorboard
from gan_lab.reports.html import page
from gan_lab.runs.headline import ENERGY, WASSERSTEIN
from tests.reports.example_runs import WGAN, estimate, run

SHARP, BLURRED = "WGAN-GP", "minimax"


def write(home, with_energy=True, shape=(1, 8, 8)):
    """Three seeds of each: WGAN-GP has the lower energy distance, minimax the lower W1."""
    for seed in range(3):
        for name, energy, w1, changes in (("gp", 0.03, 3.1, WGAN), ("mm", 0.2, 2.77, {})):
            path, shift = home / f"{name}_{seed}", 0.001 * seed ** (1 if name == "gp" else 2)
            energy, w1 = energy + shift, w1 + shift
            run(path, seed, [w1 + 0.1] * 11, final=w1, **changes)
            status = json.loads((path / "status.json").read_text())
            status["sample_shape"] = list(shape)
            status["final"][WASSERSTEIN] = estimate(w1, floor=2.77)
            rows = [json.loads(line) for line in (path / "metrics.jsonl").open()]
            if with_energy:
                status["final"][ENERGY] = estimate(energy, floor=0.002)
                best = {"step": 90, "tag": ENERGY, "held_out": estimate(energy, floor=0.002)}
                status["best"] = {**best, "validation": estimate(energy, floor=-0.01)}
                for row in rows:
                    falling = energy + 7 * 0.5 ** (row["step"] / 10)
                    row |= {ENERGY: falling, f"{ENERGY}_floor": -0.01}
            (path / "status.json").write_text(json.dumps(status))
            (path / "metrics.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return home


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return write(tmp_path_factory.mktemp("digits"))


@pytest.fixture(scope="module")
def section(home):
    return build.report([home])[0].sections[0]


def test_the_energy_distance_decides_where_w1_would_name_the_other_group(section):
    w1 = {label: each[WASSERSTEIN] for label, each in section.finals.items()}
    assert min(w1, key=w1.get) == BLURRED, "the runs show nothing"
    assert section.headline == ENERGY
    assert section.verdict.badge == f"{SHARP} is better"
    assert "the energy distance to unseen data is lower by 0.17" in section.verdict.headline
    assert [dot.label for dot in section.dots] == [SHARP, BLURRED]
    assert section.dots_title == "Energy distance to unseen data"
    assert section.charts[0].tag == ENERGY


def test_w1_has_its_n_in_every_title_that_of_the_curve_on_the_curve(section):
    [chart] = [chart for chart in section.charts if chart.tag == WASSERSTEIN]
    assert chart.title == "Sample W1 (n = 256) to unseen data"
    finals = section.tables[0]
    assert "Sample W1 (n = 500) to unseen data (data units)" in finals.columns
    assert "Exact W1" not in str(section)


def test_a_note_says_how_much_of_w1_real_data_get_and_where_a_difference_means_nothing(section):
    note = section.tables[0].note
    assert "real data get 2.77, 89 to 100 % of the values here" in note
    assert f"No difference from real data is shown for {BLURRED}." in note
    assert "a difference from real data means little; the energy distance decides" in note
    assert section.parts[0].sentences[0].startswith("Sample W1 (n = 500) is biased upwards")


def test_the_best_checkpoint_is_the_one_that_the_energy_distance_chose(home):
    [problem] = build.report([home])[1]
    [group] = [group for group in problem.groups if group.label == SHARP]
    assert len(best_values(group, ENERGY)) == 3
    assert best_values(group, WASSERSTEIN) == {}


def test_the_terminal_says_sample_w1_beside_the_energy_distance(home, tmp_path, capsys):
    assert compare.compare([str(home), f"output={tmp_path / 'page'}"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "Energy distance" in said
    assert "Sample W1" in said
    assert "Exact W1" not in said
    assert f"No difference from real data is shown for {BLURRED}." in said


def test_w1_decides_under_its_own_words_where_the_energy_distance_is_not_measured(tmp_path):
    section = build.report([write(tmp_path, with_energy=False)])[0].sections[0]
    assert section.headline == WASSERSTEIN
    assert section.dots_title == "Sample W1 (n = 500) to unseen data"
    name = "sample W1 (n = 500), mostly its own bias, to unseen data is lower by 0.3"
    assert name in section.verdict.headline


def test_the_scale_is_logarithmic_for_the_energy_distance_where_that_decides(home, tmp_path):
    def menu(path):
        return re.findall(r"logarithmic for [\w ]+", page.render(build.report([path])[0]))

    assert menu(home) == ["logarithmic for energy distance"]
    assert menu(write(tmp_path, shape=(2,))) == []


def test_in_a_dashboard_runs_have_the_chart_of_the_energy_distance_first_and_sample_w1(
    home, tmp_path, monkeypatch
):
    pages = []
    monkeypatch.setattr(tensorboard, "_writer", lambda path, page: pages.append(page) or Mock())
    tensorboard.append_real_data(build.report([home])[0], tmp_path)
    titles = [chart.title for chart in pages[0]]
    assert titles[0] == "Energy distance to unseen data (data units, lower is better)"
    assert "Sample W1 (n = 256) to unseen data (data units, lower is better)" in titles
    assert "Exact W1" not in str(titles)


def test_pictures_of_points_are_one_and_of_images_a_grid(tmp_path):
    sides = {1: 0, 3: 8}
    for n, side in sides.items():
        home = write(tmp_path / str(n), shape=(20,) if n == 1 else (1, 8, 8))
        assert build.report([home])[0].sections[0].grid_side == side


def test_up_to_4_dimensions_it_is_exact_w1_and_decides(tmp_path):
    section = build.report([write(tmp_path, shape=(4,))])[0].sections[0]
    assert (section.headline, section.dots_title) == (WASSERSTEIN, "Exact W1 to unseen data")
    assert "sample w1" not in str(section).lower()
    assert "biased upwards" not in str(section)
    assert not any("Energy" in column for column in section.tables[0].columns)
