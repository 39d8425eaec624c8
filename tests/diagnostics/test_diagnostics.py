"""Named events: each fires on what it names, stays silent on noise, and survives a resume."""

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest

from gan_lab.diagnostics import Monitor, not_finite
from gan_lab.diagnostics.detector import Detector, Verdict
from gan_lab.diagnostics.loss_detectors import CriticDrift, Oscillation, Saturation, SignFlip
from gan_lab.diagnostics.metric_detectors import Collapse, Divergence, Plateau
from gan_lab.diagnostics.periodicity import find_period
from gan_lab.loggers.jsonl import read_metrics
from tests.helpers import RING, main, run_config, signal_at, train

EQUILIBRIUM = 2 * math.log(2)


def event_steps(detector, rows):
    """Return the steps at which a detector reports an event."""
    events = [detector.update(row["step"], row) for row in rows]
    return [event.step for event in events if event is not None]


def rows_of(columns, every=50):
    """Rows from columns of equal length, the first at `every`."""
    rows = zip(*columns.values(), strict=True)
    return [
        {"step": every * i, **dict(zip(columns, map(float, row), strict=True))}
        for i, row in enumerate(rows, 1)
    ]


def estimate_rows(tag, values, width=0.02, floor=0.2, every=64):
    """Estimates of the evaluator, the first before the first step."""
    ends = [{f"{tag}_low": v - width, f"{tag}_high": v + width} for v in values]
    return [
        {"step": every * i, tag: float(v), **interval, f"{tag}_floor": floor}
        for i, (v, interval) in enumerate(zip(values, ends, strict=True))
    ]


W1, SPREAD, MODES = "divergence/wasserstein", "samples/pairwise_distance", "modes/covered"


class ScriptedDetector(Detector):
    kind = explanation = advice = "scripted"

    def check(self, step, row):
        return Verdict(row["on"], row["over"], {})


def test_an_event_is_said_once_and_again_only_after_it_was_over_for_as_long():
    on, between, over = (True, False), (False, False), (False, True)
    story = [on, between, on, on, on, over, on, on, between, over, over, on, over, on, on]
    rows = [{"step": i, "on": a, "over": b} for i, (a, b) in enumerate(story)]
    # Settled at 3; 5 alone ends nothing; over at 9 and 10; 11 alone settles nothing; again at 14.
    assert event_steps(ScriptedDetector(), rows) == [3, 14]


def saturating(loss, norm):
    return rows_of({"loss/discriminator": loss, "gradient/generator_norm": norm})


def test_saturation_needs_both_a_sure_discriminator_and_a_gradient_that_fell():
    for share, last, steps in (
        (0.005, 1e-3, [300]),
        (0.005, 1, []),
        (0.5, 1e-3, []),
        (0.005, 0, [300]),
    ):
        rows = saturating(np.full(10, share * EQUILIBRIUM), [1.0] * 4 + [last] * 6)
        assert event_steps(Saturation(EQUILIBRIUM), rows) == steps


@pytest.mark.parametrize(
    ("share", "fall", "says"), [(0.0099, 101, 1), (0.0101, 101, 0), (0.0099, 99, 0)]
)
def test_saturation_is_at_one_percent_and_two_decades(share, fall, says):
    rows = saturating(np.full(6, share * EQUILIBRIUM), np.array([fall] * 2 + [1.0] * 4))
    assert len(event_steps(Saturation(EQUILIBRIUM), rows)) == says


def test_a_loss_that_cannot_saturate_has_no_such_detector():
    rows, monitor = saturating(np.full(10, -5.0), np.array([1.0] * 4 + [1e-9] * 6)), Monitor(0.0)
    assert [event.kind for row in rows for event in monitor.update(row)] == []


@pytest.mark.parametrize(
    ("values", "steps"),
    [
        ([0.05, 0.5, 1.7, 1.8, 1.8, 0.5, 0.3, 0.3, 0.3], [7 * 64]),  # was there and went
        ([0.05, 0.15, *[0.3] * 8], [6 * 64]),  # grew and stopped
        ([0.05 + 0.08 * i for i in range(10)], []),  # still grows
        ([0.05] * 40, []),  # an untrained generator
    ],
)
def test_a_spread_that_went_or_stopped_early_is_a_collapse(values, steps):
    assert event_steps(Collapse(), estimate_rows(SPREAD, values, floor=1.8)) == steps


def test_a_spread_whose_interval_reaches_up_is_not_called_collapsed():
    values = [0.05, 0.5, 1.7, 1.8, 1.8, 0.5, 0.5, 0.5, 0.5]
    rows = estimate_rows(SPREAD, values, floor=1.8)
    wide = [{**row, f"{SPREAD}_high": row[SPREAD] + 0.5} for row in rows]
    assert event_steps(Collapse(), wide) == []


def test_modes_that_are_lost_are_a_collapse_and_one_of_eight_is_none():
    for n_modes, steps in ((5, [7 * 64]), (7, [])):
        values = [0, 2, 8, 8, 8, *[n_modes] * 6]
        assert event_steps(Collapse(), estimate_rows(MODES, values, width=0.4, floor=8)) == steps


def test_good_samples_that_never_cover_the_modes_are_a_collapse():
    for quality, steps in ((0.9, [2 * 64]), (0.1, [])):
        modes = estimate_rows(MODES, [3] * 8, width=0.4, floor=8)
        good = estimate_rows("modes/high_quality", [quality] * 8, floor=0.99)
        rows = [{**a, **b} for a, b in zip(modes, good, strict=True)]
        assert event_steps(Collapse(), rows) == steps


def critic(w, offset):
    tags = ("discriminator_estimate/wasserstein", "discriminator_estimate/offset")
    return rows_of(dict(zip(tags, (w, offset), strict=True)))


def test_a_critic_drifts_when_its_offset_leaves_every_difference_far_behind():
    w = np.linspace(2, 0.5, 60)
    # 31 times the largest difference is reached at row 31; two rows settle it.
    assert event_steps(CriticDrift(), critic(w, -2.0 * np.arange(60))) == [50 * 32]
    assert event_steps(CriticDrift(), critic(w, np.full(60, 50.0))) == []
    # A flat critic whose clipped bias stands on its bound does not drift.
    assert event_steps(CriticDrift(), critic(np.full(60, 1e-4), np.full(60, -1.0))) == []


def test_a_sign_flip_is_beyond_the_noise_and_lasts():
    noise = np.random.default_rng(0).normal(0, 0.05, 60)
    trend = np.concatenate([np.linspace(1, 0.1, 30), np.linspace(0.1, -1, 30)])
    (step,) = event_steps(SignFlip(), critic(trend + noise, np.zeros(60)))
    assert 33 * 50 <= step <= 45 * 50
    near_zero = np.concatenate([np.linspace(1, 0, 20), np.zeros(40)]) + noise
    assert event_steps(SignFlip(), critic(near_zero, np.zeros(60))) == []


def circle(n, length, amplitude=1.0, noise=0.1, seed=0):
    rng = np.random.default_rng(seed)
    angle = 2 * math.pi * np.arange(n) / length
    columns = {
        tag: amplitude * np.sin(angle + phase) + noise * rng.normal(size=n) + 3
        for phase, tag in enumerate(Oscillation.tags)
    }
    return rows_of(columns)


@pytest.mark.parametrize("length", [4, 5.5, 6, 8, 10])
def test_a_circle_is_found_with_its_period(length):
    monitor = Monitor(EQUILIBRIUM)
    events = [event for row in circle(60, length) for event in monitor.update(row)]
    assert [(e.kind, e.step) for e in events] == [("oscillation", 40 * 50)]
    assert events[0].numbers["period [steps]"] == pytest.approx(50 * length, abs=30)


def test_a_loss_that_swings_twice_while_the_other_goes_around_once_agrees():
    rng, angle = np.random.default_rng(0), 2 * math.pi * np.arange(60) / 10
    columns = {tag: rng.normal(size=60) for tag in Oscillation.tags}
    columns["loss/generator"] = np.sin(angle) + 0.3 * rng.normal(size=60)
    columns["loss/discriminator"] = np.cos(2 * angle) + 0.3 * rng.normal(size=60)
    assert len(event_steps(Oscillation(), rows_of(columns))) == 1


def test_rows_at_unequal_steps_have_no_period():
    rows = circle(80, 8)
    for row in rows[20:]:
        row["step"] += 7
    # Looks at rows 32, 40 and 48 hold the gap and are passed over; 56 and 64 settle it.
    assert event_steps(Oscillation(), rows) == [rows[63]["step"]]


@pytest.mark.parametrize(
    "values", [np.zeros(32), np.arange(32.0), np.full(32, np.nan), np.ones(5)], ids=str
)
def test_a_series_without_a_swing_has_no_period(values):
    assert find_period(values) is None


def test_w1_that_climbs_away_from_its_best_is_a_divergence():
    down_and_up = [1.4, 1.0, 0.5, 0.3, 0.3, 0.4, 0.9, 1.2, 1.3, 1.3]
    assert event_steps(Divergence(), estimate_rows(W1, down_and_up)) == [7 * 64]
    assert event_steps(Divergence(), estimate_rows(W1, down_and_up, width=1.0)) == []
    swinging = [1.4, 1.0, 0.5, 0.3, 0.35, 0.4, 0.4, 0.35]
    assert event_steps(Divergence(), estimate_rows(W1, swinging)) == []
    infinite = [1.4, 0.5, math.inf, math.inf]
    assert event_steps(Divergence(), estimate_rows(W1, infinite)) == [3 * 64]


@pytest.mark.parametrize(("end", "steps"), [(0.34, []), (0.36, [5 * 64])])
def test_a_divergence_is_1_5_times_the_best_with_both_intervals(end, steps):
    """The best reaches up to 0.22, so an estimate of width 0.02 has to be above 0.35."""
    values = [0.3, 0.25, 0.2, 0.2, end, end, end]
    assert event_steps(Divergence(), estimate_rows(W1, values)) == steps


def test_a_plateau_is_flat_above_the_floor():
    rng, n = np.random.default_rng(0), np.arange(60)
    flat = 0.6 + 0.8 * np.exp(-n / 5) + 0.005 * rng.normal(size=60)
    falling = 0.2 + 1.2 * np.exp(-n / 30) + 0.005 * rng.normal(size=60)
    near_floor = 0.22 + 1.2 * np.exp(-n / 5) + 0.005 * rng.normal(size=60)
    swinging = 0.8 + 0.3 * np.sin(n)
    (step,) = event_steps(Plateau(), estimate_rows(W1, flat))
    assert 16 * 64 <= step <= 40 * 64
    for values in (falling, near_floor, swinging):
        assert event_steps(Plateau(), estimate_rows(W1, values)) == []


def healthy(rng, n=200):
    """A noisy run that learns: correlated noise on everything, an estimate in every fourth row."""
    t = np.arange(n)
    noise = np.zeros((8, n))
    for i in range(1, n):
        noise[:, i] = 0.7 * noise[:, i - 1] + rng.normal(size=8)
    fall = np.exp(-t / rng.uniform(10, 40))
    rows = rows_of(
        {
            "loss/discriminator": EQUILIBRIUM * (1 - 0.4 * fall) + 0.03 * noise[0],
            "loss/generator": 0.7 + 0.5 * fall + 0.03 * noise[1],
            "gradient/generator_norm": (0.2 + fall) * np.exp(0.3 * noise[2]),
            "gradient/discriminator_norm": (0.2 + fall) * np.exp(0.3 * noise[3]),
            "discriminator_estimate/wasserstein": fall + 0.02 + 0.01 * noise[4],
            "discriminator_estimate/offset": 0.3 * np.cumsum(rng.normal(size=n)),
        }
    )
    values = {
        W1: (0.2 + 1.2 * fall + 0.01 * noise[5], 0.2),
        SPREAD: (1.8 - 1.7 * fall + 0.02 * noise[6], 1.8),
        MODES: (np.clip(np.round(8 - 8 * fall + 0.2 * noise[7]), 0, 8), 8),
    }
    for i in range(0, n, 4):
        for tag, (value, floor) in values.items():
            rows[i] = estimate_rows(tag, [value[i]], width=0.04, floor=floor)[0] | rows[i]
    return rows


def test_noise_raises_few_alarms():
    """Two-sided: a detector that is deaf would pass a bound from above alone (see the circles)."""
    kinds = []
    for seed in range(200):
        monitor = Monitor(EQUILIBRIUM)
        for row in healthy(np.random.default_rng(seed)):
            kinds += [event.kind for event in monitor.update(row)]
    assert len(kinds) <= 6, kinds
    n_circles = sum(
        "oscillation" in {e.kind for row in rows for e in monitor.update(row)}
        for monitor, rows in ((Monitor(0.0), circle(80, 7, noise=0.5, seed=s)) for s in range(40))
    )
    assert 30 <= n_circles <= 40


BAD = [math.nan, math.inf, -math.inf, None, "nan", True, 1e308, -1e308, 0.0]


def test_nothing_that_a_row_may_hold_raises():
    rng = np.random.default_rng(0)
    tags = [*healthy(rng, 8)[0], "modes/high_quality", "modes/high_quality_floor"]
    monitor = Monitor(EQUILIBRIUM)
    for step in range(0, 6000, 10):
        row = {tag: BAD[rng.integers(len(BAD))] for tag in tags if rng.random() < 0.8}
        monitor.update({**row, "step": step})
    monitor.update({})
    monitor.update({"step": math.nan})


EVERY = (Saturation, Collapse, CriticDrift, SignFlip, Oscillation, Divergence, Plateau)


@pytest.mark.parametrize("advice", [*(each.advice for each in EVERY), not_finite(3, "x").advice])
def test_advice_can_be_typed(advice):
    keys = re.findall(r"[\w.]+=(?:\[[\w,]+\]|[\w.-]*\w)", advice)
    assert keys
    for key in keys:
        run_config("data=ring", key)


# In a run


def events(path):
    """events.jsonl without the clock."""
    records = read_metrics(Path(path) / "events.jsonl")
    return [{k: v for k, v in record.items() if k != "time"} for record in records]


def test_a_number_that_is_not_finite_leaves_an_event_of_its_seed(workdir):
    choice = (*RING, "loss=wasserstein", "optim=sgd", "optim.lr=1e5", "trainer.steps=40")
    assert main("train", *choice, "hydra.run.dir=run") == 1
    (event,) = events("run")
    status = json.loads(Path("run/status.json").read_text())
    assert event["kind"] == "divergence"
    assert "is not finite" in event["explanation"]
    assert f"at step {event['step']} " in status["error"]
    assert event["numbers"]["failed at step"] == event["step"]
    assert set(event) == {"step", "seed", "kind", "numbers", "explanation", "advice"}


# A critic that stands still while the generator runs: W flips its sign, W1 grows.
SLOW = (
    *RING,
    *("loss=wasserstein", "optim.lr=1e-2", "optim.discriminator_lr=1e-6", "trainer.n_critic=1"),
    *("trainer.log_every=3", "trainer.checkpoint_every=10", "trainer.steps=90", "n_seeds=2"),
)


def test_a_resumed_run_has_the_events_of_one_that_was_not_stopped(workdir, monkeypatch, capsys):
    train("whole", *SLOW)
    messages = capsys.readouterr().err
    whole = [events(f"whole/seed_{seed}") for seed in (0, 1)]
    kinds = {event["kind"] for each in whole for event in each}
    assert {"sign_flip", "divergence"} <= kinds
    assert "sign_flip: The critic's W is negative" in messages
    steps = sorted(event["step"] for each in whole for event in each)
    for number, stop in enumerate((steps[0] - 1, steps[0] + 1, steps[-1] - 2)):
        path = f"run_{number}"
        with monkeypatch.context() as patch:
            signal_at(patch, stop)
            assert main("train", *SLOW, f"hydra.run.dir={path}") == 143
        assert main("resume", path) == 0
        assert [events(f"{path}/seed_{seed}") for seed in (0, 1)] == whole


def test_a_fork_is_judged_by_its_own_history_and_reports_its_own_steps():
    """The same flat estimates from step 0 and from step 5000 give the same events, 5000 later."""

    def plateau(first):
        monitor, rows = Monitor(0.0), estimate_rows(W1, [1.0] * 40, 0.01, floor=0.1, every=25)
        rows = [row | {"step": first + row["step"]} for row in rows]
        return [(e.kind, e.step, e.numbers) for row in rows for e in monitor.update(row)]

    ((kind, step, numbers),) = plateau(0)
    ((later_kind, later_step, later_numbers),) = plateau(5000)
    assert (later_kind, later_step) == (kind, step + 5000)
    assert later_numbers["since step"] == numbers["since step"] + 5000


FD = "features/frechet_distance"


@pytest.mark.parametrize("detector", [Divergence, Plateau])
def test_on_images_the_detectors_follow_fd_and_not_w1_of_pixels(detector):
    w1 = estimate_rows(W1, np.r_[np.linspace(2, 0.5, 12), np.full(16, 1.6)])
    steady = estimate_rows(FD, np.linspace(1.6, 0.4, 28), width=0.002)
    assert event_steps(detector(), w1) != []
    assert event_steps(detector(), [{**a, **b} for a, b in zip(w1, steady, strict=True)]) == []
    # And the other way around; a row without FD between two that have it says nothing.
    rising = estimate_rows(FD, np.r_[np.linspace(2, 0.5, 12), np.full(16, 1.6)])
    falling = estimate_rows(W1, np.linspace(1.6, 0.4, 28), width=0.002)
    both = [{**a, **b} for a, b in zip(falling, rising, strict=True)]
    both[15] = falling[15]
    [event] = [e for e in (detector_of(detector, both)) if e is not None]
    assert any(name.startswith("FD ") for name in event.numbers)
    assert not any("data units" in name for name in event.numbers)


def detector_of(kind, rows):
    detector = kind()
    return [detector.update(row["step"], row) for row in rows]
