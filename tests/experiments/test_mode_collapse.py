"""Mode collapse: what is counted, what the data themselves score, and claims that can fail."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from gan_lab.data import toy
from gan_lab.data.digits import StackedDigits
from gan_lab.data.toy import Grid, Ring
from gan_lab.engine.rng import stream
from gan_lab.experiments.claims import FAIL, INCONCLUSIVE, PASS
from gan_lab.experiments.mode_collapse import coverage, trainings
from gan_lab.experiments.mode_collapse.claims import mean_of_counts, packing_is_undecided
from gan_lab.experiments.mode_collapse.coverage import (
    QUALITY_CEILING,
    count,
    expected_modes,
    kl_floor,
    mode_kl,
    score_data,
    uncovered_share,
)
from gan_lab.experiments.mode_collapse.study import ModeCollapse
from gan_lab.experiments.mode_collapse.trainings import METHODS, CountSchedule, train_and_count
from gan_lab.metrics.mode_coverage import mode_statistics
from tests.helpers import CPU, load_checkpoint, main, run_config, seeded

TINY = ("data=ring", "network.width=8", "trainer.batch_size=16", "device=cpu")
DATA = {"ring": Ring, "grid": Grid, "stacked_digits": StackedDigits}
DIGITS = "stacked_digits/final_nearest"
ALL, N = [0, 1, 2, 3, 4], 2500  # seeds, samples of one count


@pytest.fixture(scope="module")
def perfect():
    """Arrays as a study leaves them in which every method covers every mode evenly."""
    arrays = {
        "data": np.array(list(DATA)),
        "methods": np.array(list(METHODS)),
        "seeds": np.array(ALL),
    }
    for name, design in DATA.items():
        source = design().open(CPU)
        k = len(source.modes.weights)
        even = np.full((len(METHODS), 5, len(ALL), k), N // k, np.int32)
        found = {"steps": np.array([0, 10, 20, 30, 40]), "n": np.array(N), "n_final": np.array(N)}
        for which in ("nearest", "good"):
            found |= {which: even, f"final_{which}": even[:, -1], f"average_{which}": even[:, -1]}
        found |= score_data(source, N, 200)
        arrays |= {f"{name}/{key}": value for key, value in found.items()}
    return arrays


def verdicts(arrays):
    return {claim.id: claim.verdict for claim in ModeCollapse().claims(arrays)}


def changed(arrays, key, method, where=...):
    """The same arrays with one method's modes without samples at [seeds, modes]."""
    new = arrays[key].copy()
    new[list(METHODS).index(method)][where] = 0
    return {**arrays, key: new}


# Counting.


def test_counts_agree_with_the_evaluators_own_also_in_parts_and_skip_what_is_infinite(monkeypatch):
    source = Ring().open(CPU)
    samples = source.real(500, seeded(0))
    samples[:100] += 0.03  # some of them leave their mode's three stds
    nearest, good = count(samples, source.modes)
    told = mode_statistics(samples, source.modes)
    assert nearest.sum() == 500
    assert (good > 0).sum() == told["modes/covered"]
    assert good.sum() / 500 == pytest.approx(told["modes/high_quality"], abs=1e-12)
    weights = source.modes.weights.double().numpy()
    assert mode_kl(nearest, weights) == pytest.approx(told["modes/kl"], abs=1e-9)
    assert good.sum() < 500
    monkeypatch.setattr(coverage, "_CHUNK", 7)
    np.testing.assert_array_equal(count(samples, source.modes), (nearest, good))
    samples[0, 0], samples[1, 1] = torch.inf, torch.nan
    nearest, fewer = count(samples, source.modes)
    assert nearest.sum() == 498
    assert good.sum() - 2 <= fewer.sum() <= good.sum()


def test_without_samples_the_kl_is_infinite_and_one_mode_has_log_k():
    weights = np.full(8, 1 / 8)
    one = np.array([[0] * 8, [50, *[0] * 7]])
    assert mode_kl(one, weights).tolist() == [np.inf, pytest.approx(np.log(8), abs=1e-12)]


def test_what_is_lost_is_counted_in_the_second_half():
    good = np.ones((1, 4, 2, 5))
    good[0, 0] = 0  # the first half does not matter
    good[0, 3, 1, :2] = 0  # two of the ten pairs of the second seed
    np.testing.assert_allclose(uncovered_share(good), [[0.0, 0.2]], atol=1e-15)


def test_the_floor_is_the_mean_kl_of_multinomial_draws_also_where_modes_are_uneven():
    weights = np.array([0.4, 0.3, 0.1, 0.1, 0.05, 0.05])
    draws = np.random.default_rng(0).multinomial(200, weights, size=20000)
    measured = mode_kl(draws, weights)
    error = measured.std() / np.sqrt(len(measured))
    assert measured.mean() == pytest.approx(kl_floor(weights, 200), abs=4 * error)
    covered = (np.random.default_rng(1).multinomial(20, weights, size=20000) > 0).sum(1)
    assert covered.mean() == pytest.approx(expected_modes(weights, 20), abs=0.03)


def test_stacked_combinations_are_counted_as_the_classifier_counts_them():
    source = StackedDigits().open(CPU)
    found = score_data(source, 300, 2)
    generator = stream(0, "mode_collapse/data", CPU)
    for kl in found["real_kl"]:
        nearest, _ = count(source.real(300, generator), source.modes)
        assert kl == pytest.approx(mode_kl(nearest, found["weights"]), abs=1e-12)


# Training.


def test_it_trains_as_the_trainer_does_with_its_falling_learning_rate(tmp_path, monkeypatch):
    keys = (*TINY, "loss=non_saturating", "n_seeds=2", "optim.decay=linear", "trainer.steps=6")
    quiet = ("neural_distance.steps=0", "metrics=[modes]", "trainer.image_every=0")
    assert main("train", *keys, *quiet, f"hydra.run.dir={tmp_path / 'run'}") == 0
    runs, plain = [], trainings._counts
    monkeypatch.setattr(trainings, "_counts", lambda *a: runs.append(a[0]) or plain(*a))
    found = train_and_count(run_config(*keys), CountSchedule(6, 3, 50, 60))
    theirs, ours = load_checkpoint(tmp_path / "run")["state"], runs[-1].state
    for name, leaf in ours.generator.params.items():
        torch.testing.assert_close(leaf, theirs["generator"]["params"][name], rtol=1e-5, atol=1e-7)
    for name, leaf in ours.average.items():
        torch.testing.assert_close(leaf, theirs["average"][name], rtol=1e-5, atol=1e-7)
    assert found["nearest"].shape == (3, 2, 8)
    assert (found["nearest"].sum(-1) == 50).all()
    assert (found["final_nearest"].sum(-1) == 60).all()
    assert (found["good"] <= found["nearest"]).all()


def test_methods_are_paired_by_seed():
    keys, schedule = (*TINY, "n_seeds=2", "trainer.steps=1"), CountSchedule(1, 1, 50, 50)
    starts = [
        train_and_count(run_config(*keys, *m), schedule)["nearest"][0] for m in METHODS.values()
    ]
    for each in starts:  # the same generator, the same z, before the first step
        np.testing.assert_array_equal(each, starts[0])


def test_the_counts_hold_the_start_and_the_end():
    assert CountSchedule(10, 4, 5, 5).steps == [0, 4, 8, 10]
    assert CountSchedule(8, 4, 5, 5).steps == [0, 4, 8]


# Claims.


def test_all_claims_of_perfect_arrays_pass_but_the_one_that_a_ceiling_hides(perfect):
    assert {name for name, verdict in verdicts(perfect).items() if verdict != PASS} == {
        *("packing_adds_modes_ring", "packing_adds_modes_grid"),
        *("critic_covers_more_grid", "critic_covers_more_stacked_digits"),
    }


def test_a_high_quality_radius_of_2_stds_fails_the_ceiling(perfect, monkeypatch):
    monkeypatch.setattr(toy, "HIGH_QUALITY_STDS", 2.0)
    broken = {f"ring/{k}": v for k, v in score_data(Ring().open(CPU), 2500, 20).items()}
    assert verdicts({**perfect, **broken})["ring_quality_ceiling"] == FAIL
    assert pytest.approx(0.98889, abs=1e-5) == QUALITY_CEILING


@pytest.mark.parametrize("data", list(DATA))
def test_a_kl_from_the_wrong_weights_fails_the_floor(perfect, data):
    weights = perfect[f"{data}/weights"].copy()
    weights[: len(weights) // 2] *= 2
    weights /= weights.sum()
    rng = np.random.default_rng(0)
    draws = rng.multinomial(2500, perfect[f"{data}/weights"], size=200)
    broken = {**perfect, f"{data}/real_kl": mode_kl(draws, weights)}
    assert verdicts(broken)[f"{data}_kl_floor"] == FAIL


@pytest.mark.parametrize(
    ("claim", "key", "worse", "where", "verdict"),
    [
        ("critic_covers_ring", "ring/final_good", "wasserstein", (0, 0), INCONCLUSIVE),
        ("critic_covers_ring", "ring/final_good", "wasserstein", (ALL, 0), FAIL),
        ("critic_keeps_ring", "ring/good", "wasserstein", 3, FAIL),  # modes that come and go
        ("critic_covers_more_grid", "grid/final_good", "non_saturating", (ALL, 0), PASS),
        ("critic_covers_more_grid", "grid/final_good", "wasserstein", (ALL, 0), FAIL),
        ("critic_covers_more_stacked_digits", DIGITS, "non_saturating", (ALL, 0), PASS),
        ("critic_covers_more_stacked_digits", DIGITS, "wasserstein", (ALL, 0), FAIL),
        ("packing_adds_modes_ring", "ring/final_good", "non_saturating", (ALL, 0), PASS),
        ("packing_adds_modes_ring", "ring/final_good", "packing", (ALL, 0), FAIL),
    ],
)
def test_a_claim_follows_the_method_that_misses_modes(perfect, claim, key, worse, where, verdict):
    assert verdicts(changed(perfect, key, worse, where))[claim] == verdict


def test_the_packing_figure_says_where_seeds_are_too_few(perfect):
    clear = changed(perfect, "ring/final_good", "non_saturating", (ALL, 0))
    for arrays, undecided in ((perfect, True), (clear, False)):
        assert packing_is_undecided(arrays, "ring") is undecided
        note = ModeCollapse().figures(arrays)["packing"].legends[0].get_title().get_text()
        assert "Too few seeds" in note  # on the grid, in both
        assert ("ring" in note) is undecided


def test_counts_that_agree_still_have_an_interval():
    assert mean_of_counts(np.zeros(5)).high == pytest.approx(1 - 0.025**0.2, abs=1e-12)
    assert mean_of_counts(np.ones(1)).low == -np.inf
    assert mean_of_counts(np.array([0.0, 1.0, 1.0])).low < 0


# The study.


def test_every_picture_is_drawn_also_without_finite_samples(perfect):
    broken = changed(perfect, "ring/final_nearest", "minimax")
    figures = ModeCollapse().figures(broken)
    assert set(figures) == {
        *("modes", "quality_and_kl", "survival", "raster_ring", "raster_grid", "packing")
    }
    assert any("moving average" in note for note in ModeCollapse().notes(broken))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"datasets": ["moons"]}, r"ModeCollapse\.datasets=moons.*ring, grid"),
        ({"datasets": []}, r"names none"),
        ({"datasets": ["ring", "ring"]}, r"one twice"),
        ({"batch_size": 15}, r"ModeCollapse\.batch_size=15"),
        ({"toy_steps": 0}, r"ModeCollapse\.toy_steps=0"),
        ({"toy_looks": 1}, r"ModeCollapse\.toy_looks=1"),
        ({"toy_depth": 0}, r"ModeCollapse\.toy_depth=0"),
        ({"ring_std": 0.0}, r"ModeCollapse\.ring_std=0"),
    ],
)
def test_a_wrong_key_is_refused_by_name(change, message):
    with pytest.raises(ValueError, match=message):
        replace(ModeCollapse(), **change)


@pytest.mark.slow
def test_the_study_runs_from_the_command_line(tmp_path):
    small = ("toy_steps=4", "toy_looks=2", "n=200", "floor_repeats=40", "batch_size=16")
    keys = ("quick=true", "n_seeds=2", "workers=1", "device=cpu", *small)
    assert main("experiment", "mode_collapse", *keys, f"hydra.run.dir={tmp_path / 'x'}") in (0, 1)
    record = json.loads((tmp_path / "x/result.json").read_text())
    assert {"ring_kl_floor", "critic_covers_ring"} <= {claim["id"] for claim in record["claims"]}
    pictures = {path.stem for path in (tmp_path / "x/figures").glob("*.png")}
    assert pictures == {"modes", "quality_and_kl", "survival", "raster_ring", "packing"}
