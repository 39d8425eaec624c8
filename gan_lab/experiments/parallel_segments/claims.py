"""The claims of parallel segments, and the quantities that they judge: functions of arrays."""

import math

import numpy as np

from gan_lab.experiments.base import Arrays
from gan_lab.experiments.claims import Claim, at_least, at_most, checks, equals, largest
from gan_lab.information import clipping_gradient_norm_bound, smoothed_segments
from gan_lab.reports.analysis.statistics import Statistic, exact, mean, median

_EXAMPLE = "Arjovsky et al. 2017, example 1 (V)"
_DERIVATION = "derived and checked by quadrature (D)"
# t -> JS, dJS/dt, and per unit t the minimax and the non-saturating gradient (PUBLISHED, D).
_TABLE = np.array(
    [
        [0.001248440096, 0.02493765560, 0.04987531121, 0.0501246888],
        [0.111421482185, 0.1989864336, 0.3979728672, 0.6020271328],
        [0.526777306521, 0.1479318766, 0.2958637533, 2.7041362467],
        [0.693146317394, 2.232050107e-6, 4.464100214e-6, 9.9999955359],
    ]
)


def norm(arrays: Arrays, key: str) -> np.ndarray:
    """Return the norm of the generator's gradient by the shift, [K, T, S]."""
    return np.hypot(arrays[f"{key}/along"], arrays[f"{key}/across"])


def cosine(arrays: Arrays, key: str, theta: np.ndarray) -> np.ndarray:
    """Return the cosine of descent with the way home, [K, T, S]; nan where either is 0."""
    size = norm(arrays, key)
    with np.errstate(invalid="ignore", divide="ignore"):
        home = arrays[f"{key}/along"] * np.sign(theta)[None, :, None] / size
    home[:, theta == 0] = np.nan
    return home


def claims(arrays: Arrays) -> list[Claim]:
    """Judge all four acts."""
    parts = (exact_claims, vanishing, penalty, saturation, clipping, _learning, _dimensions)
    return [claim for part in parts for claim in part(arrays)]


def exact_claims(arrays: Arrays) -> list[Claim]:
    """Check closed forms and their table, and W1 of finite samples."""
    apart, floor = arrays["exact/theta"] != 0, math.sqrt(math.pi) / 4
    jump = "JS of two segments is log 2 at every distance but 0 (largest deviation)"
    js = largest(arrays["exact/0.0"][0][apart] - math.log(2))
    table = (
        "JS and the three gradients of blurred segments at t = .1, 1, 3, 10 (largest relative "
        "deviation from the table)"
    )
    deviation = largest(arrays["exact/table"] / _TABLE - 1)
    top = "The gradient of JS by t = theta/sigma is largest at t = 1.63626"
    peak = exact(arrays["exact/peak"][0])
    between = "W1 between two samples of one segment, times sqrt(n)"
    samples = mean(arrays["exact/sample_floor"].mean(1))
    expected = equals(floor, 0.05 * floor, "data units", _DERIVATION)
    claims = [
        Claim("exact_js", jump, js, *at_most(1e-12, "nats", _EXAMPLE)),
        Claim("exact_table", table, deviation, *at_most(1e-9, "", _DERIVATION)),
        Claim("exact_peak", top, peak, *equals(1.63626, 5e-6, "", _DERIVATION)),
        Claim("sample_floor", between, samples, *expected),
    ]
    return checks(claims)


def vanishing(arrays: Arrays) -> list[Claim]:
    """Compare minimax and non-saturating at theta = 1, from one and the same discriminator."""
    one, last = at(arrays["theta"], 1.0), int(arrays["steps"][-1])
    minimax, other = (norm(arrays, f"fit/{k}")[:, one] for k in ("minimax", "non_saturating"))
    peak, seeds = minimax.argmax(0), np.arange(minimax.shape[1])
    with np.errstate(divide="ignore"):
        decades = median(np.log10(minimax[peak, seeds] / minimax[-1]))
    falls = f"At theta = 1 the minimax gradient falls from its peak to {last} updates by"
    source = (
        "Arjovsky and Bottou 2017, fig. 2 (V2): 5 decades in the best case; on segments "
        "the number is ours"
    )
    grows = "Meanwhile the non-saturating gradient grows by a factor of"
    growth = median(other[-1] / other[peak, seeds])
    reason = "derived: t - 2 dJS/dt grows without bound (D); the number is ours"
    return [
        Claim("minimax_vanishes", falls, decades, *at_least(6.0, "decades", source)),
        Claim("non_saturating_grows", grows, growth, *at_least(10.0, "", reason)),
    ]


def penalty(arrays: Arrays) -> list[Claim]:
    """Judge the penalised critic's gradient at the generator, bias included."""
    claims = []
    for value in arrays["asked"]:
        size = median(norm(arrays, "fit/wasserstein")[-1, at(arrays["theta"], value)])
        expected = 1 + value / (2 * float(arrays["weight"]))
        text = f"At theta = {value:g} the penalised critic's gradient is 1 + theta/(2 weight)"
        with_bias = equals(expected, 0.03 * expected, "1 per data unit", _DERIVATION)
        name = f"penalty_slope_{value:g}".replace(".", "_")
        claims.append(Claim(name, text, size, *with_bias))
    return claims


def saturation(arrays: Arrays) -> list[Claim]:
    """Judge the discriminator's own JS."""
    far, last = np.abs(arrays["theta"]) >= 0.3, arrays["steps"][-1]
    least = median(arrays["fit/cross_entropy/estimate"][-1][far].min(0))
    text = f"is log 2 for all |theta| >= .3 after {last} updates (least over theta)"
    expected = equals(math.log(2), 0.01, "nats", _EXAMPLE)
    return [Claim("js_saturates", f"The trained discriminator's JS {text}", least, *expected)]


def clipping(arrays: Arrays) -> list[Claim]:
    """Check the bounds of every clipped critic."""
    bound, weight = float(arrays["bound"]), float(arrays["fit/wasserstein_clip/largest_weight"])
    box = "No weight of a clipped critic lies outside of the box (largest |weight|)"
    algorithm = at_most(bound, "", "Arjovsky et al. 2017, algorithm 1 (V)", 1e-7)
    text = "No gradient of a clipped critic exceeds sqrt(2) bound^3 width^2"
    norms = norm(arrays, "fit/wasserstein_clip").max((0, 1))
    steepest = Statistic(float(np.median(norms)), float(norms.min()), float(norms.max()))
    highest = clipping_gradient_norm_bound(bound, 3, int(arrays["width"]), 2)
    claims = [
        Claim("weights_in_the_box", box, exact(weight), *algorithm),
        Claim("clipping_bound", text, steepest, *at_most(highest, "per data unit", _DERIVATION)),
    ]
    return checks(claims)


def _learning(arrays: Arrays) -> list[Claim]:
    low, high = int(arrays["n_critic"][0]), int(arrays["n_critic"][-1])
    start = float(arrays["starts"][-1])

    def remaining(n_critic: int, loss: str, last: int) -> Statistic:
        return median(distance(arrays, n_critic, loss)[-last:, -1].mean(0) / start)

    stays = (
        f"With n_critic = {high} the minimax loss leaves a shift of {start:g} where it is: "
        "share of the distance that remains"
    )
    arrives = (
        f"With n_critic = {high} the penalised critic brings it home: share of the distance "
        "that remains, mean of the last 10 moves"
    )
    moves = (
        f"With n_critic = {low} the minimax loss moves it all the same: share of the "
        "distance that remains"
    )
    early = at_most(0.9, "", "Fedus et al. 2018, abstract (V); the number is ours")
    near, far = at_most(0.1, "", _EXAMPLE), at_least(0.9, "", _EXAMPLE)
    return [
        Claim("minimax_stays", stays, remaining(high, "minimax", 1), *far),
        Claim("wasserstein_arrives", arrives, remaining(high, "wasserstein", 10), *near),
        Claim("minimax_moves_early", moves, remaining(low, "minimax", 1), *early),
    ]


def _dimensions(arrays: Arrays) -> list[Claim]:
    dims, thetas = arrays["dims"], arrays["asked"]
    cosines = [cosine(arrays, f"embedded/{d}/wasserstein", thetas)[-1] for d in dims]
    least = median(np.stack(cosines).min((0, 1)))
    home = (
        f"In R^d, d = {', '.join(map(str, dims))}, the penalised critic points home: "
        "cosine, least over d and theta"
    )
    transport = "derived: the optimal critic's gradient is the direction of transport (D)"
    sigma, one = float(arrays["sigma"]), at(thetas, 1.0)
    plane, space = int(dims[0]), int(dims[-1])
    noise = (
        f"Instance noise of std {sigma:g} brings the minimax gradient back to 2 dJS/dtheta "
        f"(theta = 1, d = {plane})"
    )
    size = median(norm(arrays, "cure/noise/minimax")[-1, one])
    expected = smoothed_segments(1.0, sigma).minimax_gradient / sigma
    source = "Arjovsky and Bottou 2017, section 3; the number {}"
    same = equals(expected, 0.1 * expected, "nats per data unit", source.format("derived (D)"))
    plain = norm(arrays, f"embedded/{space}/minimax")[-1, one]
    gain = median(np.log10(norm_noise(arrays, space)[-1, one] / plain))
    raises = f"In d = {space} noise raises the minimax gradient by"
    six = at_least(6.0, "decades", source.format("is ours"))
    return [
        Claim("embedded_cosine", home, least, *at_least(0.99, "", transport)),
        Claim("noise_cures", noise, size, *same),
        Claim("noise_cures_far", raises, gain, *six),
    ]


def norm_noise(arrays: Arrays, dim: int) -> np.ndarray:
    """Return the minimax gradient's norm with instance noise, [K, T, S]."""
    return norm(arrays, f"embedded/{dim}/noise/minimax")


def distance(arrays: Arrays, n_critic: int, loss: str) -> np.ndarray:
    """Return |shift| after every move, [moves + 1, T, S]."""
    return np.linalg.norm(arrays[f"learn/{n_critic}/{loss}"], axis=-1)


def at(values: np.ndarray, value: float) -> int:
    """Return the index of the nearest value."""
    return int(np.argmin(np.abs(values - value)))
