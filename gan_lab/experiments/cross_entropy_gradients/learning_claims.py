"""What the study of cross entropy and squared error claims of precision and of learning."""

import math

import numpy as np

from gan_lab.experiments.base import Arrays
from gan_lab.experiments.claims import Claim, at_least, at_most, equals, largest
from gan_lab.experiments.cross_entropy_gradients.claims import CALCULUS, TITLES
from gan_lab.experiments.cross_entropy_gradients.formulas import EPSILON
from gan_lab.experiments.cross_entropy_gradients.learning import flow_time
from gan_lab.reports.analysis.statistics import exact, mean, median

_ROUNDING = "derived: spacing of the floating-point numbers"
_CELL = 1 / 16  # of the grid of logits


def precision_claims(arrays: Arrays) -> list[Claim]:
    """Where clipped probabilities are wrong while logits are right."""
    x, loss = arrays["precision/logit"], arrays["precision/loss"]
    single, half = arrays["precision/float32_loss"], arrays["precision/float16_loss"]
    slope = arrays["precision/float32_gradient"]
    surely_no, surely_yes = int(np.argmin(x)), int(np.argmax(x))
    dead = x[(slope[1, 1] == 0) & (x < 0)].max(initial=-np.inf)
    errors = [np.abs(values[0] - loss) / (1 + np.abs(x)) for values in (single, half)]
    right = x > math.log(2**12 - 1) + _CELL
    undefined = x[np.isnan(half[2, 1])].min(initial=np.inf)
    steep = arrays["precision/float16_gradient"][2, 1]
    overflow = x[~np.isfinite(steep) & (x < 0)].max(initial=-np.inf)
    wrong_slopes = np.array([slope[1, 0, surely_yes], slope[1, 1, surely_no]])
    true_slopes = np.array([slope[0, 0, surely_yes] - 1, slope[0, 1, surely_no] + 1])
    return [
        Claim(
            "stuck_at_epsilon",
            "float32, label 1, logit -40: probabilities clipped at 1e-7 cost 16.118, not 40",
            exact(single[1, 1, surely_no]),
            *equals(-math.log(EPSILON), 1e-4, "nats", "derived: -log 1e-7"),
        ),
        Claim(
            "stuck_at_rounding",
            "float32, label 0, logit 40: clipped, they cost 23 log 2, since 1 - 1e-7 rounds to "
            "1 - 2^-23",
            exact(single[1, 0, surely_yes]),
            *equals(23 * math.log(2), 1e-4, "nats", _ROUNDING),
        ),
        Claim(
            "clipped_gradient_is_zero",
            "float32: the clipped form's gradient there is exactly 0, both ways (the truth: 1)",
            largest(wrong_slopes),
            *equals(0.0, 0.0, "1/logit", "derived: a constant has no slope"),
        ),
        Claim(
            "logits_gradient_is_right",
            "float32: the logit form's gradient there is +-1: largest difference",
            largest(true_slopes),
            *equals(0.0, 1e-6, "1/logit", CALCULUS),
        ),
        Claim(
            "clipped_dies_at",
            "float32, label 1: the largest logit with a gradient of exactly 0 is log(1e-7)",
            exact(dead),
            *equals(
                math.log(EPSILON),
                _CELL,
                "logit",
                "derived: a = 1e-7; the tolerance is a cell of the grid",
            ),
        ),
        *(
            Claim(
                f"logits_right_in_{name}",
                f"{name}: error of the loss from logits x, over 1 + |x|, the largest",
                exact(error.max()),
                *at_most(
                    bound, "nats", _ROUNDING + ": two roundings of x in float32, one of the result"
                ),
            )
            for name, error, bound in (
                ("float32", errors[0], 2.0**-23),
                ("float16", errors[1], 2.0**-11 + 2.0**-23),
            )
        ),
        Claim(
            "half_is_infinite",
            "float16, label 0, logit 40: clipping to 1 - 1e-7 = 1 does nothing, the loss is "
            "infinite",
            exact(half[2, 0, surely_yes]),
            *equals(math.inf, 0.0, "nats", _ROUNDING),
        ),
        Claim(
            "half_is_undefined",
            "float16: a right and sure answer costs 0 times infinity: share of logits > 8.37 with "
            "nan",
            exact(float(np.isnan(half[2, 1][right]).mean())),
            *equals(1.0, 0.0, "", _ROUNDING),
        ),
        Claim(
            "half_breaks_at",
            "float16: the least logit with nan is where sigmoid rounds to 1, log(2^12 - 1)",
            exact(undefined),
            *equals(
                math.log(2**12 - 1),
                _CELL,
                "logit",
                _ROUNDING + "; the tolerance is a cell of the grid",
            ),
        ),
        Claim(
            "half_gradient_breaks_at",
            "float16, label 1: the largest logit below 0 whose gradient is not finite is where 1/a "
            "leaves float16, -log(65519)",
            exact(overflow),
            *equals(
                -math.log(65519),
                _CELL,
                "logit",
                _ROUNDING + "; the tolerance is a cell of the grid",
            ),
        ),
    ]


def neuron_claims(arrays: Arrays, learning_rate: float) -> list[Claim]:
    """Steps to learn one neuron against gradient flow, and from random starts."""
    start, learned = arrays["neuron/start"], float(arrays["neuron/learned"])
    far = start >= 1
    flow = flow_time(start, learned)
    claims = []
    for name in ("cross_entropy", "squared"):
        steps = _steps(arrays[f"neuron/{name}_steps"])[far]
        off = np.abs(steps * learning_rate / flow[name][far] - 1).max()
        claims.append(
            Claim(
                f"{name}_steps",
                f"Steps to learn one neuron under {TITLES[name]} are the time of gradient flow: "
                " largest relative difference over starts at logits 1 to 7",
                exact(off),
                *at_most(
                    0.05, "", "derived: the flow's integral; descent differs by about one step"
                ),
            )
        )
    three, seven = int(np.flatnonzero(start == 3)[0]), int(np.flatnonzero(start == 7)[0])
    for name, title in TITLES.items():
        classic = flow_time(np.array([1.5, 4.0]), learned)[name]
        claims += [
            _delay(
                f"{name}_delay",
                f"{title.capitalize()}: the start w = b = 2 needs this many times the steps of "
                "w = .6, b = .9",
                arrays[f"neuron/{name}_start_steps"],
                classic,
                "starts of Nielsen's book, chapter 3 (read second-hand); the ratio derived",
            ),
            _delay(
                f"{name}_saturated_delay",
                f"{title.capitalize()}: a start at logit 7 needs this many times the steps of one "
                "at logit 3",
                arrays[f"neuron/{name}_steps"][[three, seven]],
                flow[name][[three, seven]],
                "derived: gradient flow",
            ),
        ]
    slow = _steps(arrays["neuron/squared_random_steps"])
    quick = _steps(arrays["neuron/cross_entropy_random_steps"])
    # A few steps are a coarse clock.
    ratios = np.where(quick >= 10, slow / np.maximum(quick, 1), np.nan)
    middle = np.nanmedian(ratios, -1)
    return [
        *claims,
        Claim(
            "squared_is_slower_everywhere",
            "Squared error needs at least twice the steps from every random start: the least ratio",
            exact(np.nanmin(ratios)),
            *at_least(2.0, "times", "derived: 1/(2a(1-a)) >= 2"),
        ),
        Claim(
            "squared_is_slower",
            "Median over random starts of the ratio of steps, median over seeds",
            median(middle),
            *at_least(2.0, "times", "derived: 1/(2a(1-a)) >= 2"),
        ),
    ]


def overfitting_claims(arrays: Arrays) -> list[Claim]:
    """Training and held-out cross entropy part."""
    stop = stopping(arrays)
    train, judge = arrays["fit/train_loss"], arrays["fit/judge_loss"]
    rows = np.arange(len(train))
    return [
        Claim(
            "training_keeps_falling",
            "Training cross entropy at the end minus at the step that half of the held-out digits "
            "chose, mean over seeds",
            mean(train[:, -1] - train[rows, stop]),
            *at_most(0.0, "nats", "ours: what overfitting means"),
        ),
        Claim(
            "held_out_rises",
            "Held-out cross entropy (the other half) at the end minus at that step, mean over "
            "seeds",
            mean(judge[:, -1] - judge[rows, stop]),
            *at_least(0.0, "nats", "ours: what overfitting means"),
        ),
    ]


def stopping(arrays: Arrays) -> np.ndarray:
    """Index of the look with the least cross entropy on the choosing half, [S]."""
    return np.argmin(arrays["fit/choose_loss"], -1)


def _delay(id: str, statement: str, counts: np.ndarray, times: np.ndarray, source: str) -> Claim:
    """The second of two starts against the first, by counted steps and by gradient flow."""
    taken, expected = _steps(counts), float(times[1] / times[0])
    measured = exact(taken[1] / taken[0])
    return Claim(id, statement, measured, *equals(expected, 0.05 * expected, "times", source))


def _steps(counts: np.ndarray) -> np.ndarray:
    """Counts as numbers; inf where a neuron was not learned."""
    return np.where(counts < 0, np.inf, counts)
