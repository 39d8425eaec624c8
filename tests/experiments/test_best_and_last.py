"""Best and last: decays from planted distances, who chooses the best step, claims that can fail."""

import math

import numpy as np
import pytest

from gan_lab.experiments.best_and_last import trainings
from gan_lab.experiments.best_and_last.claims import best_looks, decays, excess, held_out_best
from gan_lab.experiments.best_and_last.study import BestAndLast
from gan_lab.experiments.best_and_last.trainings import METHODS, LookSchedule, train_and_judge
from gan_lab.experiments.claims import FAIL, INCONCLUSIVE, PASS
from tests.experiments.helpers import verdicts
from tests.helpers import run_config

S = 5
NOISE = np.array([-0.02, 0.01, 0.0, 0.02, -0.01])  # of log FD, over seeds


def arrays_of(**growth):
    """FD falls from 4 to 1 at the third of four looks, then grows by a factor a method."""
    curve = np.array([4.0, 2.0, 1.0, 1.0])
    arrays = {
        "methods": np.array(list(METHODS)),
        "generators": np.array(["current", "average"]),
        "seeds": np.arange(S),
        "steps": np.array([1000, 2000, 3000, 4000]),
        "n": np.array(1000),
        "real": np.array([0.008, 0.009]),
    }
    for method in METHODS:
        factors = np.array([growth.get(method, 1.0), growth.get(f"{method}_average", 1.0)])
        fd = np.tile(curve, (S, 2, 1))
        fd[..., -1] *= factors
        arrays[f"{method}/validation"] = fd * [1, 1, 0.9, 1]
        arrays[f"{method}/held_out"] = fd
        arrays[f"{method}/again"] = fd[..., -1] * np.exp(NOISE)[:, None]
        arrays[f"{method}/images"] = np.zeros((4, 10, 28, 28), np.uint8)
    return arrays


HOLDS = {"non_saturating": 2.8, "wasserstein": 1.1, "r1": 1.1, "non_saturating_average": 1.2}


def test_decay_is_the_log_of_last_over_best():
    arrays = arrays_of(**HOLDS)
    found = decays(arrays, "non_saturating", "current")
    np.testing.assert_allclose(found, math.log(2.8) + NOISE, atol=1e-12)
    np.testing.assert_allclose(
        decays(arrays, "non_saturating", "average"), math.log(1.2) + NOISE, atol=1e-12
    )
    assert excess(arrays).value == pytest.approx(math.log(2.8 / 1.1), abs=1e-12)


def test_validation_chooses_the_best_step_and_held_out_images_judge_it():
    arrays = arrays_of(r1=0.5)
    arrays["r1/validation"][:, 0] = [1.0, 0.2, 0.5, 0.4]  # says the second look
    assert best_looks(arrays, "r1", "current").tolist() == [1] * S
    assert held_out_best(arrays, "r1", "current").tolist() == [2.0] * S
    np.testing.assert_allclose(decays(arrays, "r1", "current"), math.log(0.25) + NOISE, atol=1e-12)


def test_claims_hold_fail_and_stay_open_as_the_distances_say():
    study = BestAndLast()
    assert set(verdicts(study.claims(arrays_of(**HOLDS))).values()) == {PASS}
    reverse = {"wasserstein": 2.0, "r1": 2.0, "non_saturating_average": 2.0}
    assert set(verdicts(study.claims(arrays_of(**reverse))).values()) == {FAIL}
    # Nothing decays: whether the one decays more is the noise of FD, which shows nothing.
    still = arrays_of()
    still["non_saturating/again"] = still["non_saturating/again"][::-1].copy()
    found = verdicts(study.claims(still))
    assert found["decays_more_without_penalty"] == INCONCLUSIVE
    assert found["wasserstein_stays"] == PASS


def test_a_short_run_makes_no_claim_of_who_decays_more():
    arrays = arrays_of(**HOLDS)
    arrays["steps"] = arrays["steps"] // 4
    study = BestAndLast()
    assert set(verdicts(study.claims(arrays))) == {"wasserstein_stays", "r1_stays"}
    assert "below 2000 steps" in study.notes(arrays)[-1]
    assert "below 2000 steps" not in study.notes(arrays_of(**HOLDS))[-1]


def test_looks_are_even_and_the_last_is_the_end():
    assert BestAndLast(steps=10, n_looks=3).schedule.steps == (3, 7, 10)
    with pytest.raises(ValueError, match="n_looks=11 is more than 10"):
        BestAndLast(steps=10, n_looks=11)
    with pytest.raises(ValueError, match="n=1001 is more than 1000"):
        BestAndLast(n=1001)


def test_every_number_of_a_note_is_that_of_the_arrays():
    first = BestAndLast().notes(arrays_of(**HOLDS))[0]
    assert "1.0000 at its best step (median 3000 of 4000), 2.8000 at the last" in first
    assert "a factor of 2.80, 5 seeds" in first


@pytest.mark.slow
def test_a_look_judges_both_generators_by_samples_of_its_own(monkeypatch):
    purposes, plain = [], trainings._distance
    monkeypatch.setattr(trainings, "_distance", lambda *a: purposes.append(a[2:4]) or plain(*a))
    config = run_config("data=mnist_5k", *METHODS["r1"], "device=cpu", "seed=3")
    found = train_and_judge(config, LookSchedule((1, 3), 60))
    assert found["validation"].shape == found["held_out"].shape == (2, 2)
    assert found["images"].shape == (2, 10, 28, 28)
    assert len(set(purposes)) == len(purposes) == 2 * 2 * 2 + 2
    # The same step twice, with other samples: near, not equal.
    last = found["held_out"][:, -1]
    assert (found["again"] != last).all()
    np.testing.assert_allclose(found["again"], last, rtol=0.2)
    assert (found["held_out"][0] != found["held_out"][1]).any()
