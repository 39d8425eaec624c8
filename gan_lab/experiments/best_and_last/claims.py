"""Decays, and the claims of the study: functions of its arrays only."""

import math

import numpy as np

from gan_lab.experiments.base import Arrays
from gan_lab.experiments.claims import Claim, at_least, at_most
from gan_lab.reports.analysis.statistics import Statistic, mean

NAMES = {
    "non_saturating": "non-saturating, no penalty",
    "r1": "non-saturating with R1",
    "wasserstein": "WGAN-GP",
}
KINDS = {"current": "as it is", "average": "averaged"}
# A quarter of FD: between the published factors, 1.14 of WGAN-GP and 2.8 of DCGAN.
STAYS = math.log(1.25)
LONG_RUN = 2000  # steps; in a shorter run all still improve, and differences of decays are noise
PAPER_DECAYS = {"non_saturating": math.log(137.41 / 49.03), "wasserstein": math.log(29.46 / 25.85)}
_STUDIOGAN = (
    "Kang et al. 2022 (StudioGAN), arXiv:2206.09479, logs on CIFAR-10, one training each: DCGAN "
    "49.03 -> 137.41, WGAN-GP 25.85 -> 29.46"
)
_BAR = "ours, set before the runs between the two factors of StudioGAN's logs"


def best_looks(arrays: Arrays, method: str, kind: str) -> np.ndarray:
    """Return the look whose FD to validation images is least, [S]."""
    fd = arrays[f"{method}/validation"][:, _row(arrays, kind)]
    return fd.argmin(-1)


def held_out_best(arrays: Arrays, method: str, kind: str) -> np.ndarray:
    """Return FD to held-out images at the best look by validation, [S]."""
    fd = arrays[f"{method}/held_out"][:, _row(arrays, kind)]
    return np.take_along_axis(fd, best_looks(arrays, method, kind)[:, None], -1)[:, 0]


def last(arrays: Arrays, method: str, kind: str) -> np.ndarray:
    """Return FD of the last step to held-out images, of samples of its own, [S]."""
    return arrays[f"{method}/again"][:, _row(arrays, kind)]


def decays(arrays: Arrays, method: str, kind: str) -> np.ndarray:
    """Return log(FD last / FD best), both to held-out images, [S].

    It is infinite where the last generator gives samples that are not finite.
    """
    return np.log(last(arrays, method, kind) / held_out_best(arrays, method, kind))


def excess(arrays: Arrays) -> Statistic:
    """Return how much more log FD decays without a penalty than with WGAN-GP, in pairs."""
    without, critic = (
        decays(arrays, name, "current") for name in ("non_saturating", "wasserstein")
    )
    return mean(without - critic)


def all_claims(arrays: Arrays) -> list[Claim]:
    """Judge who stays, and of long runs the published order and whether averaging hides decay."""
    steps, unit = int(arrays["steps"][-1]), "(log FD)"
    length = f"{steps} steps, the generator as it is"
    claims = []
    for method in ("wasserstein", "r1"):
        text = f"{NAMES[method]} ends within a quarter of its best FD, {length}."
        stays = at_most(STAYS, unit, f"{_BAR}; {_STUDIOGAN}")
        measured = mean(decays(arrays, method, "current"))
        claims.append(Claim(f"{method}_stays", text, measured, *stays))
    if steps < LONG_RUN:
        return claims
    more = (
        "Without a penalty the non-saturating loss decays more after its best step than WGAN-GP: "
        f"difference of log(FD last / FD best) in pairs of one seed, {length}."
    )
    order = at_least(0.0, unit, _STUDIOGAN)
    hides = (
        "Averaging the generator's weights hides decay: without a penalty log(FD last / FD best) "
        f"of the generator as it is, less that of its average, in pairs of one seed, {steps} steps."
    )
    plain, average = (decays(arrays, "non_saturating", kind) for kind in KINDS)
    source = "ours; averages of weights as in Yazici et al. 2019, arXiv:1806.04498"
    return [
        Claim("decays_more_without_penalty", more, excess(arrays), *order),
        *claims,
        Claim("average_hides_decay", hides, mean(plain - average), *at_least(0.0, unit, source)),
    ]


def _row(arrays: Arrays, kind: str) -> int:
    return arrays["generators"].tolist().index(kind)
