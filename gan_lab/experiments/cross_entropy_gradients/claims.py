"""The claims of cross_entropy_gradients: formulas, labels, precision, learning, overfitting."""

import math

import numpy as np

from gan_lab.experiments.base import Arrays
from gan_lab.experiments.claims import Claim, at_least, at_most, equals, largest
from gan_lab.experiments.cross_entropy_gradients.formulas import EPSILON
from gan_lab.experiments.cross_entropy_gradients.learning import flow_time
from gan_lab.reports.analysis.statistics import Statistic, exact, mean, median

_CALCULUS = "derived: calculus"
_ROUNDING = "derived: spacing of the floating-point numbers"
_CELL = 1 / 16  # of the grid of logits
_TO_A_CELL = "; the tolerance is a cell of the grid"
_TITLES = {"cross_entropy": "cross entropy", "squared": "squared error"}


def gradient_claims(arrays: Arrays) -> list[Claim]:
    """Return autograd against formulas, and how flat squared error is where most wrong."""
    claims = []
    for layer, loss, formula in (
        ("sigmoid", "cross_entropy", "a - y"),
        ("sigmoid", "squared", "2 (a - y) a (1 - a), half of it for (a - y)^2/2"),
        ("softmax", "cross_entropy", "a - y"),
        ("softmax", "squared", "2 a_i ((a_i - y_i) - sum_j a_j (a_j - y_j))"),
    ):
        off = arrays[f"{layer}/{loss}_gradient"] - arrays[f"{layer}/{loss}_formula"]
        claims.append(
            Claim(
                f"{layer}_{loss}_gradient",
                f"The gradient of {_TITLES[loss]} by the logit of a {layer} is {formula}: "
                "largest difference from autograd",
                largest(off),
                *equals(0.0, 1e-12, "1/logit", _CALCULUS),
            )
        )
    x = arrays["sigmoid/logit"]
    steepest = arrays["sigmoid/squared_gradient"][0].max()
    at = int(np.flatnonzero(x == 8)[0])
    ratio = arrays["sigmoid/cross_entropy_gradient"][0] / arrays["sigmoid/squared_gradient"][0]
    sure = 1 / (1 + math.exp(-8))
    two, one = arrays["two_classes/softmax"], arrays["two_classes/sigmoid"]
    return [
        *claims,
        Claim(
            "squared_steepest",
            "Squared error (a - y)^2 is never steeper than 8/27, which it is at a = 2/3 (y = 0)",
            exact(steepest),
            *equals(8 / 27, 1e-12, "1/logit", _CALCULUS),
        ),
        Claim(
            "saturated_ratio",
            "At logit 8 with target 0 cross entropy is steeper than squared error by 1/(2a(1-a))",
            exact(ratio[at]),
            *equals(1 / (2 * sure * (1 - sure)), 1e-6, "times", _CALCULUS),
        ),
        Claim(
            "two_class_softmax",
            "Two-class softmax: the logits' gradients are +-(sigmoid's of their difference): "
            "largest difference",
            largest(two - np.stack([one, -one], -1)),
            *equals(0.0, 1e-12, "1/logit", _CALCULUS),
        ),
        Claim(
            "two_class_sum",
            "Two-class softmax: the gradients of the two logits sum to 0, they do not agree: "
            "largest sum",
            largest(two.sum(-1)),
            *equals(0.0, 1e-12, "1/logit", _CALCULUS),
        ),
    ]


def label_claims(arrays: Arrays) -> list[Claim]:
    """Return soft labels, the floor, the asymmetry, and slips that are often made."""
    source, coins = "derived: Gibbs' inequality", "derived: -(log .9 + log .1)/2 - log 2"
    excess, kl = arrays["floor/excess"], arrays["floor/kl"]
    bits = arrays["js/random_bits"]
    gap = arrays["asymmetry/fair"] - arrays["asymmetry/tilted"]
    return [
        Claim(
            "soft_label_minimum",
            "Cross entropy against a soft label y is least at a = y: largest distance over labels",
            largest(arrays["soft/best_output"] - arrays["soft/label"]),
            *equals(0.0, 1e-9, "probability", source),
        ),
        Claim(
            "soft_label_floor",
            "There it equals the entropy of the label, not 0: largest difference over labels",
            largest(arrays["soft/least_loss"] - arrays["soft/entropy"]),
            *equals(0.0, 1e-9, "nats", source),
        ),
        Claim(
            "entropy_is_the_floor",
            "H(p, q) - H(p) is at least 0: the least over random pairs of distributions",
            exact(excess.min()),
            *at_least(0.0, "nats", source),
        ),
        Claim(
            "excess_is_kl",
            "H(p, q) - H(p) is KL(p||q): largest difference over random pairs",
            largest(excess - kl),
            *equals(0.0, 1e-12, "nats", "Cover and Thomas 2006, section 5.4; derived"),
        ),
        Claim(
            "asymmetric",
            "H(p, q) - H(q, p) for a fair coin p and a tilted one q = (.9, .1)",
            exact(gap[0]),
            *equals(-0.5 * math.log(0.09) - math.log(2), 1e-12, "nats", coins),
        ),
        Claim(
            "slip_half_is_not_zero",
            "Slip: 'a = y = .5 costs nothing'. It costs log 2",
            exact(arrays["slip/half"][0]),
            *equals(math.log(2), 1e-12, "nats", "derived: entropy of a fair coin"),
        ),
        Claim(
            "slip_js_in_nats",
            "Slip: 'JS reaches 1'. In nats, without overlap, it is log 2",
            exact(arrays["js/disjoint_nats"][0]),
            *equals(math.log(2), 1e-12, "nats", "Lin 1991; derived"),
        ),
        Claim(
            "slip_js_in_bits",
            "JS lies in [0, 1] in bits: without overlap it is 1",
            exact(arrays["js/disjoint_bits"][0]),
            *equals(1.0, 1e-12, "bits", "Lin 1991; derived"),
        ),
        Claim(
            "js_bits_range",
            "JS in bits stays within [0, 1]: least to greatest over random pairs",
            Statistic(float(np.median(bits)), float(bits.min()), float(bits.max())),
            *equals(0.5, 0.5, "bits", "Lin 1991; derived"),
        ),
    ]


def precision_claims(arrays: Arrays) -> list[Claim]:
    """Return where clipped probabilities are wrong while logits are right."""
    x, loss = arrays["precision/logit"], arrays["precision/loss"]
    single, half = arrays["precision/float32_loss"], arrays["precision/float16_loss"]
    gradient = arrays["precision/float32_gradient"]
    surely_no, surely_yes = int(np.argmin(x)), int(np.argmax(x))
    dead = x[(gradient[1, 1] == 0) & (x < 0)].max(initial=-np.inf)
    three_roundings = f"{_ROUNDING}: two roundings of x in float32, one of the result"
    errors = [np.abs(values[0] - loss) / (1 + np.abs(x)) for values in (single, half)]
    beyond = x > math.log(2**12 - 1) + _CELL
    first_nan = x[np.isnan(half[2, 1])].min(initial=np.inf)
    steep = arrays["precision/float16_gradient"][2, 1]
    overflow = x[~np.isfinite(steep) & (x < 0)].max(initial=-np.inf)
    wrong, right = (gradient[form, [0, 1], [surely_yes, surely_no]] for form in (1, 0))
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
            largest(wrong),
            *equals(0.0, 0.0, "1/logit", "derived: a constant has no slope"),
        ),
        Claim(
            "logits_gradient_is_right",
            "float32: the logit form's gradient there is +-1: largest difference",
            largest(right - np.array([1, -1])),
            *equals(0.0, 1e-6, "1/logit", _CALCULUS),
        ),
        Claim(
            "clipped_dies_at",
            "float32, label 1: the largest logit with a gradient of exactly 0 is log(1e-7)",
            exact(dead),
            *equals(math.log(EPSILON), _CELL, "logit", "derived: a = 1e-7" + _TO_A_CELL),
        ),
        *(
            Claim(
                f"logits_right_in_{name}",
                f"{name}: error of the loss from logits x, over 1 + |x|, the largest",
                exact(error.max()),
                *at_most(bound, "nats", three_roundings),
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
            exact(float(np.isnan(half[2, 1][beyond]).mean())),
            *equals(1.0, 0.0, "", _ROUNDING),
        ),
        Claim(
            "half_breaks_at",
            "float16: the least logit with nan is where sigmoid rounds to 1, log(2^12 - 1)",
            exact(first_nan),
            *equals(math.log(2**12 - 1), _CELL, "logit", _ROUNDING + _TO_A_CELL),
        ),
        Claim(
            "half_gradient_breaks_at",
            "float16, label 1: the largest logit below 0 whose gradient is not finite is where 1/a "
            "leaves float16, -log(65519)",
            exact(overflow),
            *equals(-math.log(65519), _CELL, "logit", _ROUNDING + _TO_A_CELL),
        ),
    ]


def neuron_claims(arrays: Arrays, learning_rate: float) -> list[Claim]:
    """Return steps to learn one neuron against gradient flow, and from random starts."""
    start, threshold = arrays["neuron/start"], float(arrays["neuron/learned"])
    far = start >= 1
    flow = flow_time(start, threshold)
    integral = "derived: the flow's integral; descent differs by about one step"
    claims = []
    for name in ("cross_entropy", "squared"):
        steps = _steps(arrays[f"neuron/{name}_steps"])[far]
        claims.append(
            Claim(
                f"{name}_steps",
                f"Steps to learn one neuron under {_TITLES[name]} are the time of gradient flow: "
                " largest relative difference over starts at logits 1 to 7",
                largest(steps * learning_rate / flow[name][far] - 1),
                *at_most(0.05, "", integral),
            )
        )
    three, seven = int(np.flatnonzero(start == 3)[0]), int(np.flatnonzero(start == 7)[0])
    for name, title in _TITLES.items():
        classic = flow_time(np.array([1.5, 4.0]), threshold)[name]
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
    """Return how training and held-out cross entropy part."""
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
    """Return the index of the least cross entropy on the choosing half, [S]."""
    return np.argmin(arrays["fit/choose_loss"], -1)


def _delay(id: str, statement: str, counts: np.ndarray, times: np.ndarray, source: str) -> Claim:
    """Claim the steps of the second of two starts over the first's, by gradient flow."""
    steps, expected = _steps(counts), float(times[1] / times[0])
    measured = exact(steps[1] / steps[0])
    return Claim(id, statement, measured, *equals(expected, 0.05 * expected, "times", source))


def _steps(counts: np.ndarray) -> np.ndarray:
    """Return counts as numbers; inf where a neuron was not learned."""
    return np.where(counts < 0, np.inf, counts)
