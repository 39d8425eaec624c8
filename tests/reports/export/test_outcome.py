"""The end of a training: at most eight lines, each with what it stands beside."""

import json
import math
import shlex

import pytest

from gan_lab.metrics.estimate import Estimate
from gan_lab.reports.export.outcome import number, outcome

W1, MODES = "divergence/wasserstein", "modes/covered"


def estimates(value=2.98, modes=10.0):
    return {
        W1: Estimate(value, "data units", 500, value - 0.02, value + 0.02, 2.77),
        "divergence/js": Estimate(0.2, "nats", 500, 0.1, 0.3, 0.0),
        MODES: Estimate(modes, "modes", 500, modes, modes, 10.0),
        "modes/high_quality": Estimate(0.767, "1", 500, 0.75, 0.78, 0.95),
    }


def run(path, seeds=(0,), tensorboard=True, events=()):
    """A directory with what the lines are made of."""
    for seed in seeds:
        home = path / f"seed_{seed}" if len(seeds) > 1 else path
        (home / "samples").mkdir(parents=True)
        row = {"step": 0, W1: 6.71, f"{W1}_floor": 2.98}
        (home / "metrics.jsonl").write_text(json.dumps(row) + "\n")
        (home / "events.jsonl").write_text("".join(json.dumps(e) + "\n" for e in events))
        for step in (50, 200):
            (home / "samples" / f"step_{step:08d}.png").touch()
    if tensorboard:
        (path / "tensorboard").mkdir()
        (path / "tensorboard" / "events.out.tfevents.1").touch()
    return path


def test_one_run_is_eight_lines_at_most_with_the_floor_and_the_start(tmp_path):
    path = run(tmp_path / "my run")
    lines = outcome(path, {"0": estimates()}, ["looking took long"])
    assert lines == [
        "W1 2.98 [2.96, 3.00]  real data 2.77  at the start 6.71  (data units, 500 samples)",
        "modes 10 of 10  77 % of samples near one (real data 95 %)",
        "verdict: close to real: W1 1.1 x real data's",
        "warning: looking took long",
        f"picture: {path}/samples/step_00000200.png",
        f"run:     {path}",
        f"next:    python -m gan_lab dashboard '{path}'",
    ]
    assert shlex.split(lines[-1])[-1] == str(path)


@pytest.mark.parametrize("n_seeds", [1, 2, 3, 4, 5, 40])
@pytest.mark.parametrize("n_warnings", [0, 1, 5])
def test_there_are_never_more_than_eight_lines(n_seeds, n_warnings, tmp_path):
    seeds = range(n_seeds)
    events = [{"step": 7, "kind": "sign_flip"}, {"step": 3, "kind": "collapse"}]
    path = run(tmp_path / "run", seeds, events=events)
    finals = {str(seed): estimates(2.9 + seed / 100) for seed in seeds}
    warnings = [f"number {i}" for i in range(n_warnings)]
    lines = outcome(path, finals, warnings)
    assert len(lines) <= 8
    text = "\n".join(lines)
    assert all(word in text for word in (*warnings, "sign flip (step 7)", "run:", "next:"))
    assert "collapse (" not in text
    assert text.count("real data 2.77") == (n_seeds if n_seeds <= 4 else 1)


def test_few_seeds_have_a_line_each_and_many_their_range(tmp_path):
    path = run(tmp_path / "few", (3, 4))
    lines = outcome(path, {"3": estimates(), "4": estimates(6.0, modes=2.0)})
    assert lines[:2] == [
        "seed 3: W1 2.98 [2.96, 3.00]  real data 2.77  at the start 6.71  modes 10 of 10"
        "  close to real",
        "seed 4: W1 6.00 [5.98, 6.02]  real data 2.77  at the start 6.71  modes 2 of 10  collapsed",
    ]
    assert lines[2].startswith(f"picture: {path}/seed_3/samples/")
    path = run(tmp_path / "many", range(5))
    values = (2.9, 2.98, 3.0, 4.0, 6.0)
    lines = outcome(path, {str(i): estimates(v) for i, v in enumerate(values)})
    assert lines[:3] == [
        "W1 2.90 to 6.00  real data 2.77  at the start 6.71  (data units, 5 seeds)",
        "modes 10.0 of 10",
        "verdict: 3 close to real, 1 between, 1 far from real",
    ]


def test_an_end_that_is_impossible_is_marked_and_explained_once(tmp_path):
    e = {W1: Estimate(0.01, "data units", 500, -0.01, 0.03, 0.005)}
    lines = outcome(run(tmp_path / "run"), {"0": e})
    assert lines[0].startswith("W1 0.0100 [0*, 0.0300]")
    assert "\n".join(lines).count("* clipped at what is possible") == 1


def test_a_run_without_w1_records_or_pictures_still_ends_with_where_it_is(tmp_path):
    (tmp_path / "metrics.jsonl").write_text("{\n{}\n")  # damaged
    one = {"divergence/js": Estimate(0.2, "nats", 500, -math.inf, math.inf, None)}
    lines = outcome(tmp_path, {"0": one})
    assert lines == [
        "divergence/js 0.200  (nats, 500 samples)",
        f"run:     {tmp_path}",
        f"next:    python -m gan_lab sample {tmp_path}",
    ]
    assert outcome(tmp_path, {"0": {}})[0] == f"run:     {tmp_path}"


@pytest.mark.parametrize(
    ("value", "text"),
    [(3.0, "3.00"), (0.021, "0.0210"), (1234.5, "1234"), (0.0, "0"), (-2.5, "-2.50")],
)
def test_numbers_have_three_digits(value, text):
    assert number(value) == text
    assert [number(v) for v in (math.inf, math.nan)] == ["inf", "undefined"]


FD = "features/frechet_distance"


def image_estimates(value=0.016):
    return {
        FD: Estimate(value, "1", 1000, value - 0.001, value + 0.001, 0.0061),
        "features/legible_share": Estimate(0.93, "1", 1000, 0.92, 0.94, 0.987),
        **estimates(10.5),
    }


def test_on_images_fd_comes_first_and_w1_says_what_it_prefers(tmp_path):
    path = run(tmp_path / "run")
    row = {"step": 0, FD: 1.0, f"{FD}_floor": 0.0061, W1: 9.0, f"{W1}_floor": 2.98}
    (path / "metrics.jsonl").write_text(json.dumps(row) + "\n")
    lines = outcome(path, {"0": image_estimates()})
    assert lines[:4] == [
        "FD 0.0160 [0.0150, 0.0170]  real data 0.00610  at the start 1.00  (1000 samples)",
        "W1 of pixels 10.5 [10.5, 10.5]  real data 2.77  (no judge: it prefers blur to sharpness)",
        "modes 10 of 10  77 % of samples confident (real data 95 %)",
        "verdict: between: FD 2.6 x real data's, 90 % of the way from the start in sqrt(FD); "
        "93 % of samples legible (real data 99 %)",
    ]
    assert len(lines) <= 8


def test_many_seeds_on_images_have_ranges_of_fd_and_of_the_legible_share(tmp_path):
    finals = {str(seed): image_estimates(0.015 + seed / 1000) for seed in range(5)}
    lines = outcome(run(tmp_path / "run", range(5)), finals)
    assert lines[0] == "FD 0.0150 to 0.0190  real data 0.00610  (5 seeds)"
    assert lines[1] == "legible 93.0 % of samples (real data 99 %)"
    assert lines[3] == "verdict: 5 between"
    one = outcome(run(tmp_path / "two", range(2)), dict(list(finals.items())[:2]))[0]
    assert one.startswith("seed 0: FD 0.0150 [0.0140, 0.0160]  real data 0.00610  modes")


ENERGY = "divergence/energy"


def test_above_4_dimensions_the_energy_distance_comes_first_and_w1_says_what_real_data_get(
    tmp_path,
):
    path = run(tmp_path / "run")
    (path / "status.json").write_text(json.dumps({"sample_shape": [1, 8, 8]}))
    row = {"step": 0, ENERGY: 7.2, f"{ENERGY}_floor": -0.017, W1: 6.71, f"{W1}_floor": 2.98}
    (path / "metrics.jsonl").write_text(json.dumps(row) + "\n")
    (path / "config.yaml").write_text("data: {_target_: gan_lab.data.arrays.Array}\n")
    energy = Estimate(0.0312, "data units", 500, 0.029, 0.034, 0.0021)
    lines = outcome(path, {"0": {**estimates(), ENERGY: energy}})
    assert lines[0] == (
        "energy distance 0.0312 [0.0290, 0.0340]  real data 0.00210  at the start 7.20  "
        "(data units, 500 samples)"
    )
    assert lines[1] == (
        "sample W1 (n = 500) 2.98 [2.96, 3.00]  real data 2.77  at the start 6.71  "
        "(no judge: 93 % of it real data get, too)"
    )
    assert lines[3] == "verdict: close to real: energy distance 0.031, real data 0.0021"
    two = {"0": {**estimates(), ENERGY: energy}, "1": {**estimates(), ENERGY: energy}}
    assert outcome(path, two)[0].startswith("seed 0: energy distance 0.0312")


def test_without_the_energy_distance_w1_stays_first_under_its_own_words(tmp_path):
    path = run(tmp_path / "run")
    (path / "status.json").write_text(json.dumps({"sample_shape": [20]}))
    (path / "config.yaml").write_text("data: {_target_: gan_lab.data.arrays.Array}\n")
    lines = outcome(path, {"0": estimates(2.77)})
    assert lines[0] == (
        "sample W1 (n = 500) 2.77 [2.75, 2.79]  real data 2.77  at the start 6.71  "
        "(no difference from real data is shown)"
    )
