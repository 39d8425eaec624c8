"""What the study claims, its answer in sentences, and its notes; functions of its arrays."""

import math
from collections.abc import Sequence

import numpy as np

from gan_lab.experiments.base import Arrays
from gan_lab.experiments.claims import Claim, at_least, checks, equals
from gan_lab.experiments.losses_on_images import analysis
from gan_lab.experiments.losses_on_images.analysis import Comparison, Pair
from gan_lab.experiments.losses_on_images.methods import METHODS
from gan_lab.experiments.losses_on_images.plan import PUBLISHED
from gan_lab.experiments.losses_on_images.tables import CLOCKS
from gan_lab.reports.analysis.statistics import Statistic, difference, exact

CLOSE = 0.25  # of a ratio: what a reader of a grid of samples does not see
_LUCIC = "Lucic et al. 2018, arXiv:1711.10337, FID table (V2)"
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

    found = []
    close = equals(1.0, CLOSE, "", f"a pilot of one seed: .014 against .013; {_OURS}")
    worse = at_least(1.0, "", f"the presets' trials on other splits; {_OURS}")
    penalty = at_least(1.0, "", _OURS)
    published = at_least(1.0, "", f"FID 20.3 against 6.8 on MNIST; {_LUCIC}")
    for id, text, pair, bar in (
        ("wgan_gp_over_ns_r1", "within a quarter of", ("wgan_gp", "non_saturating_r1"), close),
        ("wgan_clip_over_wgan_gp", "larger than", ("wgan_clip", "wgan_gp"), worse),
        ("ns_over_ns_r1", "larger than", ("non_saturating", "non_saturating_r1"), penalty),
        ("wgan_gp_over_ns", "larger than", ("wgan_gp", "non_saturating"), published),
    ):
        if (measured := ratio(*pair)) is not None:
            above, below = (METHODS[name].label for name in pair)
            statement = (
                f"{data}: tuned alike, the Frechet distance of {above} is {text} that of {below} "
                "at equal process seconds (ratio, paired seeds)."
            )
            found.append(Claim(f"{data}_{id}", statement, measured, *bar))
    prices = analysis.prices(arrays, data)
    if prices:
        least = min(prices, key=lambda method: prices[method].measured.value)
        statement = (
            f"{data}: every loss pays for its published recipe: the least ratio of its distance "
            f"to the tuned one's, that of {METHODS[least].label}."
        )
        bar = at_least(1.0, "", _OURS)
        measured = analysis.ratio_of(prices[least])
        found.append(Claim(f"{data}_least_price", statement, measured, *bar))
    return found


def _design(arrays: Arrays) -> list[Claim]:
    """Return the checks that tuning was equal, and that nothing that judges was seen before."""
    found = []
    for data in analysis.datasets(arrays):
        seconds, trials = tuning_totals(arrays, data)
        gap = max(seconds.values()) - min(seconds.values())
        gap += max(trials.values()) - min(trials.values())
        statement = (
            f"{data}: tuning was equal: between any two losses the numbers of trials and their "
            "budgets in process seconds differ by 0."
        )
        found.append(Claim(f"{data}_equal_tuning", statement, exact(gap), *equals(0.0, 0.0)))
        statement = (
            f"{data}: no image is in two parts, and no seed of the compared trainings in tuning."
        )
        shared = exact(n_shared(arrays, data))
        found.append(Claim(f"{data}_nothing_shared", statement, shared, *equals(0.0, 0.0)))
    return found


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
    tuning = set(arrays["trials/seed"][arrays["trials/data"] == data].tolist())
    compared = set(arrays["finals/seed"][arrays["finals/data"] == data].tolist())
    return n_images + len(tuning & compared)


def answers(arrays: Arrays) -> list[str]:
    """Return the answer for each set: which, by how much, how sure, beside real data."""
    return [_answer(arrays, data) for data in analysis.datasets(arrays)]


def _answer(arrays: Arrays, data: str) -> str:
    result = analysis.comparison(arrays, data)
    first, n_seeds = result.order[0], result.stability.seeds
    text = (
        f"{data}: {_label(first)} has the least distance, {result.geometric_mean(first):.3f} "
        f"(real data {analysis.real_distance(arrays, data):.3f})"
    )
    undecided = result.undecided
    if len(undecided) > 1:
        others = ", ".join(map(_label, undecided))
        nearest = result.pair(first, undecided[1])
        text += (
            f", but it is undecided between {others}: {_label(undecided[1])} has "
            f"{_ratio(nearest)} of it; {_seeds_text(nearest)}"
        )
    worse = [method for method in result.order if method not in undecided]
    if worse:
        pairs = [result.pair(first, method) for method in worse]
        text += f". Decided to be worse: {_times(pairs)}"
    return f"{text}. {n_seeds} paired seeds, Holm over {len(result.pairs)} pairs."


def _times(pairs: Sequence[Pair]) -> str:
    return ", ".join(f"{_label(pair.higher)} {_ratio(pair)}" for pair in pairs)


def _ratio(pair: Pair) -> str:
    value, low, high = pair.ratio
    return f"{value:.2f} times [{low:.2f}, {high:.2f}]"


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
            *_diverged(arrays, data),
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
    turned = [p for p in b.pairs if p.is_decided and (p.higher, p.lower) in ways]
    return ", ".join(f"{_label(p.lower)} before {_label(p.higher)}" for p in turned)


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
        rows &= arrays["finals/stage"] != PUBLISHED
        legible, coverage = (
            analysis.final_numbers(arrays, data, method, f"judged_{key}")
            for key in ("legible", "coverage")
        )
        texts.append(
            f"{data}, {_label(method)}: legible share {np.nanmean(legible):.2f}, coverage "
            f"{np.nanmean(coverage):.2f}; chosen: {arrays['finals/recipe'][rows][0]}"
        )
    return texts


def _diverged(arrays: Arrays, data: str) -> list[str]:
    texts = []
    for table in ("trials", "finals"):
        rows = (arrays[f"{table}/data"] == data) & arrays[f"{table}/diverged"]
        names = arrays[f"{table}/method"][rows].tolist()
        if names:
            counts = ", ".join(f"{_label(m)} {names.count(m)}" for m in dict.fromkeys(names))
            texts.append(f"{data}: diverged {table}: {counts}.")
    return texts
