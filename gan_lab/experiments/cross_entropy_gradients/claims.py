"""What the study of cross entropy and squared error claims of formulas and labels."""

import math

import numpy as np

from gan_lab.experiments.base import Arrays
from gan_lab.experiments.claims import Claim, at_least, equals, largest
from gan_lab.reports.analysis.statistics import Statistic, exact

CALCULUS = "derived: calculus"
TITLES = {"cross_entropy": "cross entropy", "squared": "squared error"}


def gradient_claims(arrays: Arrays) -> list[Claim]:
    """Autograd against formulas, and how flat squared error is where it is most wrong."""
    claims = []
    for layer, loss, formula in (
        ("sigmoid", "cross_entropy", "a - y"),
        ("sigmoid", "squared", "2 (a - y) a (1 - a), half of it for (a - y)^2/2"),
        ("softmax", "cross_entropy", "a - y"),
        ("softmax", "squared", "2 a_i ((a_i - y_i) - sum_j a_j (a_j - y_j))"),
    ):
        off = np.abs(arrays[f"{layer}/{loss}_gradient"] - arrays[f"{layer}/{loss}_formula"]).max()
        claims.append(
            Claim(
                f"{layer}_{loss}_gradient",
                f"The gradient of {TITLES[loss]} by the logit of a {layer} is {formula}: "
                "largest difference from autograd",
                exact(off),
                *equals(0.0, 1e-12, "1/logit", CALCULUS),
            )
        )
    x = arrays["sigmoid/logit"]
    steepest = arrays["sigmoid/squared_gradient"][0].max()
    at = int(np.flatnonzero(x == 8)[0])
    ratio = arrays["sigmoid/cross_entropy_gradient"][0] / arrays["sigmoid/squared_gradient"][0]
    sure = 1 / (1 + math.exp(-8))
    two, one = arrays["two_classes/softmax"], arrays["two_classes/sigmoid"]
    apart = max(np.abs(two[:, 0] - one).max(), np.abs(two[:, 1] + one).max())
    return [
        *claims,
        Claim(
            "squared_steepest",
            "Squared error (a - y)^2 is never steeper than 8/27, which it is at a = 2/3 (y = 0)",
            exact(steepest),
            *equals(8 / 27, 1e-12, "1/logit", CALCULUS),
        ),
        Claim(
            "saturated_ratio",
            "At logit 8 with target 0 cross entropy is steeper than squared error by 1/(2a(1-a))",
            exact(ratio[at]),
            *equals(1 / (2 * sure * (1 - sure)), 1e-6, "times", CALCULUS),
        ),
        Claim(
            "two_class_softmax",
            "Two-class softmax: the logits' gradients are +-(sigmoid's of their difference): "
            "largest difference",
            exact(apart),
            *equals(0.0, 1e-12, "1/logit", CALCULUS),
        ),
        Claim(
            "two_class_sum",
            "Two-class softmax: the gradients of the two logits sum to 0, they do not agree: "
            "largest sum",
            largest(two.sum(-1)),
            *equals(0.0, 1e-12, "1/logit", CALCULUS),
        ),
    ]


def label_claims(arrays: Arrays) -> list[Claim]:
    """Soft labels, the floor, the asymmetry, and slips that are often made."""
    source = "derived: Gibbs' inequality"
    off = np.abs(arrays["soft/best_output"] - arrays["soft/label"]).max()
    floor = np.abs(arrays["soft/least_loss"] - arrays["soft/entropy"]).max()
    excess, kl = arrays["floor/excess"], arrays["floor/kl"]
    gap = arrays["asymmetry/fair"] - arrays["asymmetry/tilted"]
    return [
        Claim(
            "soft_label_minimum",
            "Cross entropy against a soft label y is least at a = y: largest distance over labels",
            exact(off),
            *equals(0.0, 1e-9, "probability", source),
        ),
        Claim(
            "soft_label_floor",
            "There it equals the entropy of the label, not 0: largest difference over labels",
            exact(floor),
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
            *equals(
                -0.5 * math.log(0.09) - math.log(2),
                1e-12,
                "nats",
                "derived: -(log .9 + log .1)/2 - log 2",
            ),
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
            _range(arrays["js/random_bits"]),
            *equals(0.5, 0.5, "bits", "Lin 1991; derived"),
        ),
    ]


def _range(values: np.ndarray) -> Statistic:
    return Statistic(float(np.median(values)), float(values.min()), float(values.max()))
