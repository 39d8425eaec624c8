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
from gan_lab.experiments.mode_collapse.claims import mean_of_counts
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
from tests.helpers import CPU, load_checkpoint, main, seeded, setup

TINY = ("data=ring", "network.width=8", "trainer.batch_size=16", "device=cpu")
K = {"ring": 8, "grid": 25, "stacked_digits": 1000}


def made_up(seeds=5, data=("ring", "grid", "stacked_digits"), n=2500):
    """Arrays as a study leaves them in which every method covers every mode evenly."""
    arrays = {"data": np.array(data), "methods": np.array(list(METHODS)), "seeds": np.arange(seeds)}
    for name in data:
        k, looks = K[name], 5
        even = np.full(k, n // k, np.int32)
        each = (len(METHODS), looks, seeds, k)
        source = {"ring": Ring, "grid": Grid, "stacked_digits": StackedDigits}[name]().open(CPU)
        found = {
            "nearest": np.broadcast_to(even, each).copy(),
            "good": np.broadcast_to(even, each).copy(),
            "steps": np.array([0, 10, 20, 30, 40]),
            "n": np.array(n),
            "n_final": np.array(n),
            **score_data(source, n, 200),
        }
        for which in ("nearest", "good"):
            found[f"final_{which}"] = found[which][:, -1].copy()
            found[f"average_{which}"] = found[which][:, -1].copy()
        arrays |= {f"{name}/{key}": value for key, value in found.items()}
    return arrays


@pytest.fixture(scope="module")
def perfect():
    return made_up()


def verdicts(arrays):
    return {claim.id: claim.verdict for claim in ModeCollapse().claims(arrays)}


def row(method):
    return list(METHODS).index(method)


def changed(arrays, key, method, seeds, value):
    """The same arrays with one method's first mode without samples for some seeds."""
    new = arrays[key].copy()
    new[row(method), ..., seeds, 0] = value
    return {**arrays, key: new}


# Counting.


def test_counts_agree_with_the_evaluators_own():
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


def test_counting_in_parts_changes_nothing(monkeypatch):
    source = Ring().open(CPU)
    samples = source.real(100, seeded(0))
    whole = count(samples, source.modes)
    monkeypatch.setattr(coverage, "_CHUNK", 7)
    for ours, theirs in zip(count(samples, source.modes), whole, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_sample_that_is_not_finite_is_in_no_mode():
    source = Ring().open(CPU)
    samples = source.real(10, seeded(0))
    samples[0, 0], samples[1, 1] = torch.inf, torch.nan
    nearest, good = count(samples, source.modes)
    assert nearest.sum() == 8
    assert good.sum() <= 8


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
    runs = []
    plain = trainings._counts
    monkeypatch.setattr(
        trainings, "_counts", lambda run, *rest: runs.append(run) or plain(run, *rest)
    )
    found = train_and_count(setup(*keys), CountSchedule(6, 3, 50, 60))
    theirs = load_checkpoint(tmp_path / "run")["state"]
    for name, leaf in runs[-1].state.generator.params.items():
        torch.testing.assert_close(leaf, theirs["generator"]["params"][name], rtol=1e-5, atol=1e-7)
    for name, leaf in runs[-1].state.average.items():
        torch.testing.assert_close(leaf, theirs["average"][name], rtol=1e-5, atol=1e-7)
    assert found["nearest"].shape == (3, 2, 8)
    assert (found["nearest"].sum(-1) == 50).all()
    assert (found["final_nearest"].sum(-1) == 60).all()
    assert (found["good"] <= found["nearest"]).all()


def test_methods_are_paired_by_seed():
    keys = (*TINY, "n_seeds=2", "trainer.steps=1")
    starts = [
        train_and_count(setup(*keys, *METHODS[m]), CountSchedule(1, 1, 50, 50)) for m in METHODS
    ]
    for each in starts:  # the same generator, the same z, before the first step
        np.testing.assert_array_equal(each["nearest"][0], starts[0]["nearest"][0])


def test_the_counts_hold_the_start_and_the_end():
    assert CountSchedule(10, 4, 5, 5).steps == [0, 4, 8, 10]
    assert CountSchedule(8, 4, 5, 5).steps == [0, 4, 8]


# Claims.


def test_all_claims_of_perfect_arrays_pass_but_the_one_that_a_ceiling_hides(perfect):
    found = verdicts(perfect)
    assert set(found.values()) == {PASS, INCONCLUSIVE}
    hidden = {name for name, verdict in found.items() if verdict == INCONCLUSIVE}
    assert hidden == {
        *("packing_adds_modes_ring", "packing_adds_modes_grid"),
        *("critic_covers_more_grid", "critic_covers_more_stacked_digits"),
    }


def test_a_high_quality_radius_of_2_stds_fails_the_ceiling(perfect, monkeypatch):
    monkeypatch.setattr(toy, "HIGH_QUALITY_STDS", 2.0)
    broken = {f"ring/{k}": v for k, v in score_data(Ring().open(CPU), 2500, 20).items()}
    assert verdicts({**perfect, **broken})["ring_quality_ceiling"] == FAIL
    assert pytest.approx(0.98889, abs=1e-5) == QUALITY_CEILING


@pytest.mark.parametrize("data", list(K))
def test_a_kl_from_the_wrong_weights_fails_the_floor(perfect, data):
    weights = perfect[f"{data}/weights"].copy()
    weights[: len(weights) // 2] *= 2
    weights /= weights.sum()
    rng = np.random.default_rng(0)
    draws = rng.multinomial(2500, perfect[f"{data}/weights"], size=200)
    broken = {**perfect, f"{data}/real_kl": mode_kl(draws, weights)}
    assert verdicts(broken)[f"{data}_kl_floor"] == FAIL


@pytest.mark.parametrize(("seeds", "verdict"), [([0], INCONCLUSIVE), ([0, 1, 2, 3, 4], FAIL)])
def test_a_mode_that_is_missed_is_told(perfect, seeds, verdict):
    broken = changed(perfect, "ring/final_good", "wasserstein", seeds, 0)
    assert verdicts(broken)["critic_covers_ring"] == verdict


@pytest.mark.parametrize(
    ("data", "key"), [("grid", "final_good"), ("stacked_digits", "final_nearest")]
)
@pytest.mark.parametrize(("worse", "verdict"), [("non_saturating", PASS), ("wasserstein", FAIL)])
def test_the_critics_gain_is_told_by_its_sign(perfect, data, key, worse, verdict):
    broken = changed(perfect, f"{data}/{key}", worse, [0, 1, 2, 3, 4], 0)
    assert verdicts(broken)[f"critic_covers_more_{data}"] == verdict


def test_modes_that_come_and_go_are_told(perfect):
    good = perfect["ring/good"].copy()
    good[row("wasserstein"), 3] = 0
    assert verdicts({**perfect, "ring/good": good})["critic_keeps_ring"] == FAIL


def test_packing_passes_where_it_adds_modes_and_fails_where_it_takes_them(perfect):
    better = changed(perfect, "ring/final_good", "non_saturating", [0, 1, 2, 3, 4], 0)
    assert verdicts(better)["packing_adds_modes_ring"] == PASS
    worse = changed(perfect, "ring/final_good", "packing", [0, 1, 2, 3, 4], 0)
    assert verdicts(worse)["packing_adds_modes_ring"] == FAIL


def test_counts_that_agree_still_have_an_interval():
    assert mean_of_counts(np.zeros(5)).high == pytest.approx(1 - 0.025**0.2, abs=1e-12)
    assert mean_of_counts(np.ones(1)).low == -np.inf
    assert mean_of_counts(np.array([0.0, 1.0, 1.0])).low < 0


# The study.


def test_every_picture_is_drawn_also_without_finite_samples(perfect):
    broken = changed(perfect, "ring/final_nearest", "minimax", slice(None), 0)
    broken["ring/final_nearest"][row("minimax")] = 0
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
    ],
)
def test_a_wrong_key_is_refused_by_name(change, message):
    with pytest.raises(ValueError, match=message):
        replace(ModeCollapse(), **change)


def test_the_study_runs_from_the_command_line(tmp_path):
    small = ("toy_steps=4", "toy_looks=2", "n=200", "floor_repeats=40", "batch_size=16")
    keys = ("quick=true", "n_seeds=2", "workers=1", "device=cpu", *small)
    assert main("experiment", "mode_collapse", *keys, f"hydra.run.dir={tmp_path / 'x'}") in (0, 1)
    record = json.loads((tmp_path / "x/result.json").read_text())
    assert {"ring_kl_floor", "critic_covers_ring"} <= {claim["id"] for claim in record["claims"]}
    pictures = {path.stem for path in (tmp_path / "x/figures").glob("*.png")}
    assert pictures == {"modes", "quality_and_kl", "survival", "raster_ring", "packing"}
