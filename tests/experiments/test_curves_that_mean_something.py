"""Reading curves, ranking them, and claims that fail when an estimate points the wrong way."""

import itertools
import json
import math

import numpy as np
from scipy import stats

from gan_lab.experiments.curves_that_mean_something import curves
from gan_lab.experiments.curves_that_mean_something.curves import ENERGY, EVALUATOR, JS, METHODS
from gan_lab.experiments.curves_that_mean_something.study import CurvesThatMeanSomething
from tests.experiments import helpers

STEPS = np.arange(1, 41) * 20  # the last is beyond WHOLE_RUN


def falling(n_seeds=5):
    """W1 of five seeds that all get better, each at its own speed."""
    speeds = np.linspace(100, 300, n_seeds)
    return 3 + 4 * np.exp(-STEPS / speeds[:, None])


def unrelated(evaluator):
    """A JS estimate near log 2 that goes up and down whatever the samples do."""
    return 0.68 + 0.01 * np.sin(np.arange(evaluator.shape[1])) + 0 * evaluator


def arrays(estimate_of, js_of=unrelated):
    evaluator = falling()
    found = {"data": np.array(["digits", "ring"]), "games": np.array(list(METHODS))}
    for data, (method, how) in itertools.product(("digits", "ring"), METHODS.items()):
        estimate = js_of(evaluator) if how.is_js else estimate_of(evaluator)
        own = {"steps": STEPS, "estimate": estimate, "generator": -estimate_of(evaluator)}
        distances = {"ruler": evaluator, "energy": evaluator - 3, "floor": np.array(3.0)}
        deviation = {"ruler_deviation": np.full_like(evaluator, 0.01)}
        parts = {**own, **distances, **deviation}
        found |= {f"{data}/{method}/{key}": value for key, value in parts.items()}
    return found


def verdicts(found):
    return helpers.verdicts(CurvesThatMeanSomething().claims(found))


def test_estimates_that_rank_as_the_ruler_pass_whatever_their_scale():
    found = verdicts(arrays(lambda evaluator: 0.01 * (evaluator - 3) ** 3))
    assert found == dict.fromkeys(found, "pass")
    assert set(found) == {
        *("digits_wasserstein_follows", "digits_wasserstein_clip_follows"),
        *("ring_wasserstein_follows", "ring_wasserstein_clip_follows"),
        "ring_wasserstein_follows_closely",
        *("digits_non_saturating_moves", "digits_non_saturating_does_not_follow"),
    }


def test_a_short_run_claims_nothing_of_following():
    short = {
        key: STEPS // 20 if key.endswith("/steps") else values
        for key, values in arrays(lambda evaluator: evaluator).items()
    }
    assert set(verdicts(short)) == {"digits_non_saturating_does_not_follow"}
    notes = CurvesThatMeanSomething().notes(short)
    assert any(note.startswith("No claim is made that a W estimate follows") for note in notes)


def test_an_estimate_of_samples_that_stand_still_is_no_evidence():
    still = arrays(lambda evaluator: evaluator)
    still["digits/non_saturating/energy"] = 4.0 + 0.01 * falling()
    found = verdicts(still)
    assert found["digits_non_saturating_moves"] == "fail"
    assert found["digits_non_saturating_does_not_follow"] == "pass"


def test_a_wrong_sign_and_a_js_that_follows_fail():
    found = verdicts(arrays(lambda evaluator: -evaluator, lambda evaluator: evaluator / 10))
    assert found.pop("digits_non_saturating_moves") == "pass"
    assert found == dict.fromkeys(found, "fail")


def test_a_curve_that_is_chance_passes_nothing():
    noise = np.random.default_rng(0).normal(size=falling().shape)
    found = verdicts(arrays(lambda evaluator: noise))
    assert found["ring_wasserstein_follows_closely"] == "fail"
    assert "pass" not in {verdict for name, verdict in found.items() if "_follows" in name}


def test_a_seed_that_diverged_is_no_success():
    found = arrays(lambda evaluator: evaluator)
    found["digits/wasserstein/ruler"][2, 30:] = np.nan
    assert np.isnan(CurvesThatMeanSomething().correlations(found, "digits", "wasserstein")[2])
    assert verdicts(found)["digits_wasserstein_follows"] == "fail"


def test_rank_correlation_is_scipys_and_undefined_for_a_constant():
    generator = np.random.default_rng(1)
    x, y = generator.normal(size=(2, 3, 25))
    expected = [stats.spearmanr(a, b).statistic for a, b in zip(x, y, strict=True)]
    np.testing.assert_allclose(curves.rank_correlations(x, y), expected, rtol=0, atol=1e-12)
    assert np.isnan(curves.rank_correlations(np.ones((1, 9)), np.arange(9.0)[None]))


def test_the_running_median_removes_one_outlier_and_keeps_a_line():
    line = np.arange(12.0)[None].repeat(2, 0)
    smooth = curves.running_median(line, 5)
    np.testing.assert_array_equal(smooth[:, 2:-2], line[:, 2:-2])
    line[0, 6] = 1e6
    assert np.abs(curves.running_median(line, 5) - smooth).max() <= 1.0


def test_the_ceiling_is_one_without_noise_and_near_zero_where_all_is_noise():
    evaluator = falling()
    silent, loud = (curves.ceiling(evaluator, np.full_like(evaluator, x)) for x in (0, 1e3))
    np.testing.assert_allclose(silent, 1.0, rtol=0, atol=1e-12)
    assert np.abs(loud.mean()) < 0.2


def test_curves_are_paired_by_step_and_the_rulers_interval_becomes_its_deviation(tmp_path):
    half = float(stats.t.ppf(0.975, 3)) * 0.25
    floor = {"seed": 0, f"{EVALUATOR}_floor": 3.0}
    interval = {EVALUATOR: 4.0, f"{EVALUATOR}_low": 4 - half, f"{EVALUATOR}_high": 4 + half}
    trained = {JS: 0.5, "loss/generator": 1.0, ENERGY: 1.0, **interval, **floor}
    rows = [{"step": 0, EVALUATOR: 6.0, **floor}]  # nothing trained yet
    rows += [{"step": step, **trained} for step in (10, 20)]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = curves.load_curves(tmp_path, JS, n_repeats=4)
    assert found["steps"].tolist() == [10, 20]
    np.testing.assert_allclose(found["ruler_deviation"], [[0.25, 0.25]], rtol=1e-9)
    assert float(found["floor"]) == 3.0


def test_measured_end_to_end(tmp_path):
    steps = {"steps": (6,), "n_points": 3, "n_critic": 1, "js_n_critic": 1, "warmup_steps": 1}
    keys = {"methods": ("wasserstein", "non_saturating"), "n": 16, "n_repeats": 2, **steps}
    small = CurvesThatMeanSomething(datasets=("digits",), widths=(8,), **keys)
    found = small.measure(helpers.small_lab(tmp_path, 2))
    for method in small.methods:
        assert found[f"digits/{method}/steps"].tolist() == [2, 4, 6]
        assert found[f"digits/{method}/estimate"].shape == (2, 3)
        assert np.isfinite(found[f"digits/{method}/ruler"]).all()
    assert (found["digits/non_saturating/estimate"] < math.log(2)).all()
    assert {claim.verdict for claim in small.claims(found)} == {"inconclusive"}  # two seeds
    assert set(small.figures(found)) == {"rank_correlations", "curves_digits", "scatter_digits"}
    assert small.notes(found)
    assert small.curves(found)
