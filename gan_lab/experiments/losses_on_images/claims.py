"""What the study claims, its answer in sentences, and its notes; functions of its arrays."""

import math
from collections.abc import Sequence

import numpy as np

from gan_lab.experiments.base import Arrays
from gan_lab.experiments.claims import Claim, Expectation, at_least, checks, equals
from gan_lab.experiments.losses_on_images import analysis
from gan_lab.experiments.losses_on_images.analysis import Comparison, Pair
from gan_lab.experiments.losses_on_images.methods import METHODS
from gan_lab.experiments.losses_on_images.plan import PUBLISHED_RECIPE
from gan_lab.experiments.losses_on_images.tables import CLOCKS
from gan_lab.reports.analysis.statistics import Statistic, difference, exact

CLOSE = 0.25  # of a ratio: what a reader of a grid of samples does not see
WHOLE_SECONDS = 30  # of a training, from which ratios of losses are claimed
_LUCIC = "Lucic et al. 2018, arXiv:1711.10337, FID table (V2)"
_PLAN = "by construction: the plan of the study"
_OURS = "ours, set before the study was run"
_CLOCK_WORDS = {
    "seconds": "process seconds",
    "updates": "updates of both players",
    "gradient_evaluations": "gradient evaluations",
}


def claims(arrays: Arrays) -> list[Claim]:
    """Return the claims of every set, then the checks of the design."""
    return [
        *(claim for data in analysis.datasets(arrays) for claim in _claims_of(arrays, data)),
        *checks(_design(arrays)),
    ]


def _claims_of(arrays: Arrays, data: str) -> list[Claim]:
    values = analysis.log_distances(arrays, data)

    def ratio(above: str, below: str) -> Statistic | None:
        if not {above, below} <= values.keys():
            return None
        return analysis.ratio_of(difference(values[above], values[below]))

    results = []
    for id, above, below, text, bar in _ratios(data):
        measured = ratio(above, below)
        if measured is not None and _is_whole(arrays, data):
            statement = (
                f"{data}: tuned alike, the Frechet distance of {METHODS[above].label} is {text} "
                f"that of {METHODS[below].label} at equal process seconds (ratio, paired seeds)."
            )
            results.append(Claim(f"{data}_{id}", statement, measured, *bar))
    prices = analysis.prices(arrays, data)
    if prices:
        least = min(prices, key=lambda method: prices[method].measured.value)
        statement = (
            f"{data}: every loss pays for its published recipe: the least ratio of its distance "
            f"to the tuned one's, that of {METHODS[least].label}."
        )
        bar = at_least(1.0, "", _OURS)
        measured = analysis.ratio_of(prices[least])
        results.append(Claim(f"{data}_least_price", statement, measured, *bar))
    return results


def _ratios(data: str) -> list[tuple[str, str, str, str, Expectation]]:
    """Return id, numerator, denominator, words and expectation of the ratios claimed on a set."""
    close = equals(1.0, CLOSE, "", f"a pilot of one seed: .014 against .013; {_OURS}")
    results = [("wgan_gp_over_ns_r1", "wgan_gp", "non_saturating_r1", "within a quarter of", close)]
    orders = {
        "mnist_5k": [
            ("wgan_gp_over_ns", "wgan_gp", "non_saturating", "FID 20.3 against 6.8 on MNIST"),
            ("wgan_gp_over_clip", "wgan_gp", "wgan_clip", "FID 20.3 against 6.7 on MNIST"),
            ("ns_over_ns_r1", "non_saturating", "non_saturating_r1", ""),
        ],
        "fashion_mnist": [
            ("ns_r1_over_gp", "non_saturating_r1", "wgan_gp", "FID 26.5 (NS) against 24.5"),
            ("wgan_gp_over_clip", "wgan_gp", "wgan_clip", "FID 24.5 against 21.5"),
        ],
    }
    for id, above, below, numbers in orders.get(data, []):
        bar = at_least(1.0, "", f"{numbers}; {_LUCIC}" if numbers else _OURS)
        words = "larger than" if not numbers else "larger (the order of a published table) than"
        results.append((id, above, below, words, bar))
    return results


def _is_whole(arrays: Arrays, data: str) -> bool:
    """Return whether the trainings are long enough for a claim: at the start all are far off."""
    seconds = arrays["finals/seconds"][arrays["finals/data"] == data]
    return bool(seconds.min() >= WHOLE_SECONDS)


def _design(arrays: Arrays) -> list[Claim]:
    """Return the checks that tuning was equal, and that nothing that judges was seen before."""
    results = []
    for data in analysis.datasets(arrays):
        seconds, trials = tuning_totals(arrays, data)
        gap = max(seconds.values()) - min(seconds.values())
        gap += max(trials.values()) - min(trials.values())
        statement = (
            f"{data}: tuning was equal: between any two losses the numbers of trials and their "
            "budgets in process seconds differ by 0."
        )
        results.append(
            Claim(f"{data}_equal_tuning", statement, exact(gap), *equals(0.0, 0.0, "", _PLAN))
        )
        statement = (
            f"{data}: no image is in two parts, and no seed of the compared trainings in tuning."
        )
        n_common = exact(n_shared(arrays, data))
        results.append(
            Claim(f"{data}_nothing_shared", statement, n_common, *equals(0.0, 0.0, "", _PLAN))
        )
    return results


def tuning_totals(arrays: Arrays, data: str) -> tuple[dict[str, float], dict[str, int]]:
    """Return by loss the budgets of its trials in process seconds, added, and how many they are."""
    seconds: dict[str, float] = {}
    trials: dict[str, int] = {}
    for row in np.flatnonzero(arrays["trials/data"] == data):
        method = str(arrays["trials/method"][row])
        seconds[method] = seconds.get(method, 0.0) + float(arrays["trials/seconds"][row])
        trials[method] = trials.get(method, 0) + 1
    return seconds, trials


def n_shared(arrays: Arrays, data: str) -> int:
    """Return how many images are in two parts and how many seeds in tuning and comparison."""
    parts = [set(arrays[f"images/{data}/{p}"].tolist()) for p in ("train", "validation", "judged")]
    n_images = sum(map(len, parts)) - len(set.union(*parts))
    trial_seeds = set(arrays["trials/seed"][arrays["trials/data"] == data].tolist())
    final_seeds = set(arrays["finals/seed"][arrays["finals/data"] == data].tolist())
    return n_images + len(trial_seeds & final_seeds)


def answers(arrays: Arrays) -> list[str]:
    """Return the answer for each set: which, by how much, how sure, beside real data."""
    return [text for data in analysis.datasets(arrays) for text in _answer(arrays, data)]


def _answer(arrays: Arrays, data: str) -> list[str]:
    result = analysis.comparison(arrays, data)
    first, contenders = result.order[0], result.contenders
    real = f"real data {analysis.real_distance(arrays, data):.3f}"
    numbers = [f"{_label(m)} {result.geometric_mean(m):.3f}" for m in contenders]
    if len(contenders) > 1:
        nearest = result.pair(first, contenders[1])
        texts = [
            f"{data}: undecided between {', '.join(numbers)} (Frechet distance; {real}). The "
            f"second has {_ratio(nearest)} the distance of the first; {_seeds_text(nearest)}."
        ]
    else:
        texts = [f"{data}: {numbers[0]} has the least Frechet distance ({real})."]
    worse = [method for method in result.order if method not in contenders]
    if worse:
        pairs = [result.pair(first, method) for method in worse]
        n_seeds, n_pairs = result.stability.seeds, len(result.pairs)
        texts.append(
            f"{data}, decided to be worse than {_label(first)} ({n_seeds} paired seeds, Holm over "
            f"{n_pairs} pairs): {_times(pairs)}."
        )
    return texts


def _times(pairs: Sequence[Pair]) -> str:
    return ", ".join(f"{_label(pair.higher)} {_ratio(pair)}" for pair in pairs)


def _ratio(pair: Pair) -> str:
    value, low, high = pair.ratio
    return f"{value:.2f} [{low:.2f}, {high:.2f}] times"


def _seeds_text(pair: Pair) -> str:
    if not math.isfinite(pair.n_needed):
        return "no number of seeds would show a difference of 0"
    return f"so large a difference needs about {math.ceil(pair.n_needed)} seeds"


def _label(method: str) -> str:
    return METHODS[method].label


def notes(arrays: Arrays) -> list[str]:
    """Return what stands behind the answer and what it does not show."""
    texts = []
    for data in analysis.datasets(arrays):
        result = analysis.comparison(arrays, data)
        texts += [
            f"{data}, order at equal process seconds, best checkpoint by validation: "
            f"{_order(result)}.",
            *_other_clocks(arrays, data, result),
            _stability(data, result),
            *_prices(arrays, data),
            *_recipes(arrays, data),
            *_divergences(arrays, data),
        ]
    n_trials = len(arrays["trials/data"])
    texts += [
        "Distance: the Frechet distance in the features of a classifier of the training images, "
        "over the variance of the judged images' features; it is not FID. Real data: as many "
        "training images in place of generated ones.",
        "Seconds are process seconds of training steps on one thread; opening and measuring are "
        "not counted. Updates are those of both players; gradient evaluations add the inner "
        "gradients of penalties.",
        f"Tuning: {n_trials} trials, every loss at the same points of a space of the same kind "
        "(two learning rates, beta1, n_critic, one strength), chosen on validation images. A loss "
        "without a strength to set has that dimension idle.",
        "Published recipes run on this network, batch and budget, not on their papers': the price "
        "is that of taking a recipe elsewhere, no judgement of the paper.",
        "Earlier recipes of this project were screened on other splits of the same 5,000 digits; "
        "this split and these seeds were used for nothing else.",
        "Not shown: longer budgets, other networks, larger images, and what tuning of many more "
        "trials would find. Intervals are over seeds of the training; the chosen recipe is one "
        "draw of the tuning.",
    ]
    return texts


def _order(result: Comparison) -> str:
    return ", ".join(f"{_label(m)} {result.geometric_mean(m):.4f}" for m in result.order)


def _other_clocks(arrays: Arrays, data: str, result: Comparison) -> list[str]:
    texts = []
    for clock in CLOCKS:
        for pick in (analysis.BEST, analysis.LAST):
            if (clock, pick) == (CLOCKS[0], analysis.BEST):
                continue
            other = analysis.comparison(arrays, data, clock, pick)
            limit = analysis.budget(arrays, data, clock)
            flips = _flips(result, other)
            words = f"{_CLOCK_WORDS[clock]} ({limit:.0f}), {pick} checkpoint"
            change = "no decided pair turns round" if not flips else f"turned round: {flips}"
            texts.append(f"{data}, at equal {words}: {_order(other)}; {change}.")
    return texts


def _flips(a: Comparison, b: Comparison) -> str:
    """Return the pairs that are decided one way in one and the other way in the other."""
    ways = {(p.lower, p.higher) for p in a.pairs if p.is_decided}
    reversals = [p for p in b.pairs if p.is_decided and (p.higher, p.lower) in ways]
    return ", ".join(f"{_label(p.lower)} before {_label(p.higher)}" for p in reversals)


def _stability(data: str, result: Comparison) -> str:
    first = {m: n for m, n in result.stability.first.items() if n > 0}
    counts = ", ".join(f"{_label(m)} in {n:.3g}" for m, n in first.items())
    concordance = result.stability.concordance
    return (
        f"{data}, from seed to seed: first of {result.stability.seeds} seeds {counts}; Kendall's W "
        f"{concordance:.2f} (1 = one order in all seeds)."
    )


def _prices(arrays: Arrays, data: str) -> list[str]:
    prices = analysis.prices(arrays, data)
    if not prices:
        return []
    texts = []
    for method, gap in sorted(prices.items(), key=lambda item: -item[1].measured.value):
        value, low, high = analysis.ratio_of(gap)
        texts.append(f"{_label(method)} {value:.1f} [{low:.1f}, {high:.1f}]")
    return [
        f"{data}, price of not tuning (distance of the published recipe over that of the tuned "
        f"one): {', '.join(texts)}."
    ]


def _recipes(arrays: Arrays, data: str) -> list[str]:
    texts = []
    for method in analysis.methods(arrays, data):
        rows = (arrays["finals/data"] == data) & (arrays["finals/method"] == method)
        rows &= arrays["finals/stage"] != PUBLISHED_RECIPE
        legible, coverage = (
            analysis.final_numbers(arrays, data, method, f"judged_{key}")
            for key in ("legible", "coverage")
        )
        texts.append(
            f"{data}, {_label(method)}: legible share {np.nanmean(legible):.2f}, coverage "
            f"{np.nanmean(coverage):.2f}; chosen: {arrays['finals/recipe'][rows][0]}"
        )
    return texts


def _divergences(arrays: Arrays, data: str) -> list[str]:
    texts = []
    for table in ("trials", "finals"):
        rows = (arrays[f"{table}/data"] == data) & arrays[f"{table}/diverged"]
        names = arrays[f"{table}/method"][rows].tolist()
        if names:
            counts = ", ".join(f"{_label(m)} {names.count(m)}" for m in dict.fromkeys(names))
            texts.append(f"{data}: diverged {table}: {counts}.")
    return texts
