"""The claims of cross_entropy_gradients: formulas, labels, precision, learning, overfitting."""

import math

import numpy as np

from gan_lab.experiments.base import Arrays
from gan_lab.experiments.claims import (
    Claim,
    at_least,
    at_most,
    checks,
    claim_all,
    equals,
    largest,
)
from gan_lab.experiments.cross_entropy_gradients.formulas import EPSILON
from gan_lab.experiments.cross_entropy_gradients.learning import flow_time
from gan_lab.reports.analysis.statistics import Statistic, exact, mean, median

_CALCULUS = "derived: calculus"
_ROUNDING = "derived: spacing of the floating-point numbers"
_CELL = 1 / 16  # of the grid of logits
_TO_A_CELL = "; the tolerance is a cell of the grid"
_TITLES = {"cross_entropy": "cross entropy", "squared": "squared error"}
_FORMULAS = {
    ("sigmoid", "cross_entropy"): "a - y",
    ("sigmoid", "squared"): "2 (a - y) a (1 - a), half of it for (a - y)^2/2",
    ("softmax", "cross_entropy"): "a - y",
    ("softmax", "squared"): "2 a_i ((a_i - y_i) - sum_j a_j (a_j - y_j))",
}
_STATEMENTS = {
    f"{layer}_{loss}_gradient": f"The gradient of {_TITLES[loss]} by the logit of a {layer} is "
    f"{formula}: largest difference from autograd"
    for (layer, loss), formula in _FORMULAS.items()
} | {
    "squared_steepest": "Squared error (a - y)^2 is never steeper than 8/27, which it is at "
    "a = 2/3 (y = 0)",
    "saturated_ratio": "At logit 8 with target 0 cross entropy is steeper than squared error by "
    "1/(2a(1-a))",
    "two_class_softmax": "Two-class softmax: the logits' gradients are +-(sigmoid's of their "
    "difference): largest difference",
    "two_class_sum": "Two-class softmax: the gradients of the two logits sum to 0, they do not "
    "agree: largest sum",
    "soft_label_minimum": "Cross entropy against a soft label y is least at a = y: largest "
    "distance over labels",
    "soft_label_floor": "There it equals the entropy of the label, not 0: largest difference over "
    "labels",
    "entropy_is_the_floor": "H(p, q) - H(p) is at least 0: the least over random pairs of "
    "distributions",
    "excess_is_kl": "H(p, q) - H(p) is KL(p||q): largest difference over random pairs",
    "asymmetric": "H(p, q) - H(q, p) for a fair coin p and a tilted one q = (.9, .1)",
    "slip_half_is_not_zero": "Slip: 'a = y = .5 costs nothing'. It costs log 2",
    "slip_js_in_nats": "Slip: 'JS reaches 1'. In nats, without overlap, it is log 2",
    "slip_js_in_bits": "JS lies in [0, 1] in bits: without overlap it is 1",
    "js_bits_range": "JS in bits stays within [0, 1]: least to greatest over random pairs",
    "stuck_at_epsilon": "float32, label 1, logit -40: probabilities clipped at 1e-7 cost 16.118, "
    "not 40",
    "stuck_at_rounding": "float32, label 0, logit 40: clipped, they cost 23 log 2, since 1 - 1e-7 "
    "rounds to 1 - 2^-23",
    "clipped_gradient_is_zero": "float32: the clipped form's gradient there is exactly 0, both "
    "ways (the truth: 1)",
    "logits_gradient_is_right": "float32: the logit form's gradient there is +-1: largest "
    "difference",
    "clipped_dies_at": "float32, label 1: the largest logit with a gradient of exactly 0 is "
    "log(1e-7)",
    "logits_right_in_float32": "float32: error of the loss from logits x, over 1 + |x|, the "
    "largest",
    "logits_right_in_float16": "float16: error of the loss from logits x, over 1 + |x|, the "
    "largest",
    "half_is_infinite": "float16, label 0, logit 40: clipping to 1 - 1e-7 = 1 does nothing, the "
    "loss is infinite",
    "half_is_undefined": "float16: a right and sure answer costs 0 times infinity: share of logits "
    "> 8.37 with nan",
    "half_breaks_at": "float16: the least logit with nan is where sigmoid rounds to 1, "
    "log(2^12 - 1)",
    "half_gradient_breaks_at": "float16, label 1: the largest logit below 0 whose gradient is not "
    "finite is where 1/a leaves float16, -log(65519)",
    "squared_is_slower_everywhere": "Squared error needs at least twice the steps from every "
    "random start: the least ratio",
    "squared_is_slower": "Median over random starts of the ratio of steps, median over seeds",
    "training_keeps_falling": "Training cross entropy at the end minus at the step that half of "
    "the held-out digits chose, mean over seeds",
    "held_out_rises": "Held-out cross entropy (the other half) at the end minus at that step, mean "
    "over seeds",
}


def gradient_claims(arrays: Arrays) -> list[Claim]:
    """Return autograd against formulas, and how flat squared error is where most wrong."""
    zero = equals(0.0, 1e-12, "1/logit", _CALCULUS)
    numbers = {}
    for layer, loss in _FORMULAS:
        off = arrays[f"{layer}/{loss}_gradient"] - arrays[f"{layer}/{loss}_formula"]
        numbers[f"{layer}_{loss}_gradient"] = (largest(off), zero)
    at = int(np.flatnonzero(arrays["sigmoid/logit"] == 8)[0])
    cross_entropy, square = (arrays[f"sigmoid/{loss}_gradient"][0] for loss in _TITLES)
    sure = 1 / (1 + math.exp(-8))
    ratio = equals(1 / (2 * sure * (1 - sure)), 1e-6, "times", _CALCULUS)
    two, one = arrays["two_classes/softmax"], arrays["two_classes/sigmoid"]
    numbers |= {
        "squared_steepest": (exact(square.max()), equals(8 / 27, 1e-12, "1/logit", _CALCULUS)),
        "saturated_ratio": (exact((cross_entropy / square)[at]), ratio),
        "two_class_softmax": (largest(two - np.stack([one, -one], -1)), zero),
        "two_class_sum": (largest(two.sum(-1)), zero),
    }
    return checks(claim_all(_STATEMENTS, numbers))


def label_claims(arrays: Arrays) -> list[Claim]:
    """Return soft labels, the floor, the asymmetry, and slips that are often made."""
    gibbs, coins = "derived: Gibbs' inequality", "derived: -(log .9 + log .1)/2 - log 2"
    cover, lin = "Cover and Thomas 2006, section 5.4; derived", "Lin 1991; derived"
    fair = "derived: entropy of a fair coin"
    best_output = largest(arrays["soft/best_output"] - arrays["soft/label"])
    least_loss = largest(arrays["soft/least_loss"] - arrays["soft/entropy"])
    excess, bits = arrays["floor/excess"], arrays["js/random_bits"]
    gap = exact((arrays["asymmetry/fair"] - arrays["asymmetry/tilted"])[0])
    coin_gap = equals(-0.5 * math.log(0.09) - math.log(2), 1e-12, "nats", coins)
    half, nats, one = (
        exact(arrays[name][0]) for name in ("slip/half", "js/disjoint_nats", "js/disjoint_bits")
    )
    extent = Statistic(float(np.median(bits)), float(bits.min()), float(bits.max()))
    numbers = {
        "soft_label_minimum": (best_output, equals(0.0, 1e-9, "probability", gibbs)),
        "soft_label_floor": (least_loss, equals(0.0, 1e-9, "nats", gibbs)),
        "entropy_is_the_floor": (exact(excess.min()), at_least(0.0, "nats", gibbs)),
        "excess_is_kl": (largest(excess - arrays["floor/kl"]), equals(0.0, 1e-12, "nats", cover)),
        "asymmetric": (gap, coin_gap),
        "slip_half_is_not_zero": (half, equals(math.log(2), 1e-12, "nats", fair)),
        "slip_js_in_nats": (nats, equals(math.log(2), 1e-12, "nats", lin)),
        "slip_js_in_bits": (one, equals(1.0, 1e-12, "bits", lin)),
        "js_bits_range": (extent, equals(0.5, 0.5, "bits", lin)),
    }
    return checks(claim_all(_STATEMENTS, numbers))


def precision_claims(arrays: Arrays) -> list[Claim]:
    """Return where clipped probabilities are wrong while logits are right."""
    x, loss = arrays["precision/logit"], arrays["precision/loss"]
    single, half = arrays["precision/float32_loss"], arrays["precision/float16_loss"]
    gradient = arrays["precision/float32_gradient"]
    surely_no, surely_yes = int(np.argmin(x)), int(np.argmax(x))
    dead = x[(gradient[1, 1] == 0) & (x < 0)].max(initial=-np.inf)
    roundings = f"{_ROUNDING}: two roundings of x in float32, one of the result"
    errors = [exact((np.abs(each[0] - loss) / (1 + np.abs(x))).max()) for each in (single, half)]
    beyond = x > math.log(2**12 - 1) + _CELL
    is_nan = np.isnan(half[2, 1])
    first_nan = exact(x[is_nan].min(initial=np.inf))
    steep = arrays["precision/float16_gradient"][2, 1]
    overflow = exact(x[~np.isfinite(steep) & (x < 0)].max(initial=-np.inf))
    wrong, right = (gradient[form, [0, 1], [surely_yes, surely_no]] for form in (1, 0))
    epsilon, constant = "derived: -log 1e-7", "derived: a constant has no slope"
    derivative, to_a_cell = equals(0.0, 1e-6, "1/logit", _CALCULUS), _ROUNDING + _TO_A_CELL
    dies = equals(math.log(EPSILON), _CELL, "logit", "derived: a = 1e-7" + _TO_A_CELL)
    infinite = exact(half[2, 0, surely_yes])
    costs = exact(single[1, 1, surely_no]), exact(single[1, 0, surely_yes])
    numbers = {
        "stuck_at_epsilon": (costs[0], equals(-math.log(EPSILON), 1e-4, "nats", epsilon)),
        "stuck_at_rounding": (costs[1], equals(23 * math.log(2), 1e-4, "nats", _ROUNDING)),
        "clipped_gradient_is_zero": (largest(wrong), equals(0.0, 0.0, "1/logit", constant)),
        "logits_gradient_is_right": (largest(right - [1, -1]), derivative),
        "clipped_dies_at": (exact(dead), dies),
        "logits_right_in_float32": (errors[0], at_most(2.0**-23, "nats", roundings)),
        "logits_right_in_float16": (errors[1], at_most(2.0**-11 + 2.0**-23, "nats", roundings)),
        "half_is_infinite": (infinite, equals(math.inf, 0.0, "nats", _ROUNDING)),
        "half_is_undefined": (exact(is_nan[beyond].mean()), equals(1.0, 0.0, "", _ROUNDING)),
        "half_breaks_at": (first_nan, equals(math.log(2**12 - 1), _CELL, "logit", to_a_cell)),
        "half_gradient_breaks_at": (overflow, equals(-math.log(65519), _CELL, "logit", to_a_cell)),
    }
    return checks(claim_all(_STATEMENTS, numbers))


def neuron_claims(arrays: Arrays, learning_rate: float) -> list[Claim]:
    """Return steps to learn one neuron against gradient flow, and from random starts."""
    start, threshold = arrays["neuron/start"], float(arrays["neuron/learned"])
    far, pair = start >= 1, np.searchsorted(start, [3, 7])
    flow, classic = flow_time(start, threshold), flow_time(np.array([1.5, 4.0]), threshold)
    integral = "derived: the flow's integral; descent differs by about one step"
    nielsen = "starts of Nielsen's book, chapter 3 (read second-hand); the ratio derived"
    claims = []
    for name, title in _TITLES.items():
        steps = _steps(arrays[f"neuron/{name}_steps"])[far]
        claims.append(
            Claim(
                f"{name}_steps",
                f"Steps to learn one neuron under {title} are the time of gradient flow: "
                " largest relative difference over starts at logits 1 to 7",
                largest(steps * learning_rate / flow[name][far] - 1),
                *at_most(0.05, "", integral),
            )
        )
    at_start = "the start w = b = 2 needs this many times the steps of w = .6, b = .9"
    at_logit = "a start at logit 7 needs this many times the steps of one at logit 3"
    for name, title in _TITLES.items():
        starts, grid = (_steps(arrays[f"neuron/{name}_{key}"]) for key in ("start_steps", "steps"))
        for id, words, steps, times, source in (
            ("delay", at_start, starts, classic[name], nielsen),
            ("saturated_delay", at_logit, grid[pair], flow[name][pair], "derived: gradient flow"),
        ):
            # The steps of the second of two starts over the first's, by gradient flow.
            expected = float(times[1] / times[0])
            ratio = equals(expected, 0.05 * expected, "times", source)
            statement = f"{title.capitalize()}: {words}"
            claims.append(Claim(f"{name}_{id}", statement, exact(steps[1] / steps[0]), *ratio))
    quick, slow = (_steps(arrays[f"neuron/{name}_random_steps"]) for name in _TITLES)
    # A few steps are a coarse clock.
    ratios = np.where(quick >= 10, slow / np.maximum(quick, 1), np.nan)
    twice = at_least(2.0, "times", "derived: 1/(2a(1-a)) >= 2")
    numbers = {
        "squared_is_slower_everywhere": (exact(np.nanmin(ratios)), twice),
        "squared_is_slower": (median(np.nanmedian(ratios, -1)), twice),
    }
    return claims + claim_all(_STATEMENTS, numbers)


def overfitting_claims(arrays: Arrays) -> list[Claim]:
    """Return how training and held-out cross entropy part."""
    train, judge = arrays["fit/train_loss"], arrays["fit/judge_loss"]
    stop, rows = stopping(arrays), np.arange(len(train))
    bound = (0.0, "nats", "ours: what overfitting means")
    numbers = {
        "training_keeps_falling": (mean(train[:, -1] - train[rows, stop]), at_most(*bound)),
        "held_out_rises": (mean(judge[:, -1] - judge[rows, stop]), at_least(*bound)),
    }
    return claim_all(_STATEMENTS, numbers)


def stopping(arrays: Arrays) -> np.ndarray:
    """Return the index of the least cross entropy on the choosing half, [S]."""
    return np.argmin(arrays["fit/choose_loss"], -1)


def _steps(counts: np.ndarray) -> np.ndarray:
    """Return counts as numbers; inf where a neuron was not learned."""
    return np.where(counts < 0, np.inf, counts)
