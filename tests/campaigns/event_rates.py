"""Named events against runs whose truth is known: thresholds on one set of seeds, rates on another.

Usage: tests/campaigns/event_rates.py [tune|fresh] [SCENARIO ...]

Trains the labelled scenarios below (a few minutes, one thread) into outputs/event_rates/ and
replays their metrics through the detectors; trained runs are kept and read again. `fresh` also
writes the table of docs/diagnostics.md between its two marks.
"""

import contextlib
import io
import itertools
import math
import shutil
import sys
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gan_lab.config.compose import build_run_config, compose_config
from gan_lab.diagnostics import Event, Monitor
from gan_lab.errors import RunDiverged
from gan_lab.loggers.jsonl import read_metrics
from gan_lab.regularizers.base import Regularizer, Tensors
from gan_lab.reports.analysis.statistics import share
from gan_lab.runner import train as training
from gan_lab.runs.run_dir import RunDir
from gan_lab.training.build import open_source

Row = dict[str, Any]
ROOT = Path(__file__).resolve().parents[2]
RUNS = ROOT / "outputs/event_rates"
BEGIN, END = "<!-- rates: begin -->", "<!-- rates: end -->"
KINDS = (
    *("saturation", "collapse", "critic_drift", "sign_flip"),
    *("oscillation", "divergence", "plateau"),
)
SEEDS = {"tune": 0, "fresh": 1000}  # first seed of each set
BASE = (
    *("metrics=[wasserstein,modes,neighbours]", "neural_distance.steps=0", "device=cpu"),
    *("trainer.image_every=0", "trainer.landscape_every=0", "trainer.log_every=10"),
    *("trainer.checkpoint_every=0", "execution.threads=1", "evaluator.n=128"),
    *("evaluator.final_n=256", "evaluator.floor_n_repeats=6"),
)


@dataclass(frozen=True)
class Wind(Regularizer):
    """Move every logit by a constant after each update: drift that no loss or penalty sees."""

    push: float = 1.0

    def after_step(self, params: Tensors, buffers: Tensors) -> tuple[Tensors, Tensors]:
        """Adds to the bias of the last layer."""
        last = list(params)[-1]
        return {**params, last: params[last] + self.push}, buffers


@dataclass(frozen=True)
class Scenario:
    """`n_seeds` runs of one configuration in each set.

    `constructed` has the kinds that it shows by construction; `wind`: whether `Wind` blows.
    """

    keys: str
    n_seeds: int = 8
    constructed: tuple[str, ...] = ()
    wind: bool = False


RING = "data=ring network.width=32 trainer.batch_size=64 trainer.steps=600 evaluator.every=32"
WIDE = "data=ring data.std=0.1 trainer.batch_size=128 trainer.steps=600 evaluator.every=32"
LINE = (
    "data=gaussian_1d network.width=16 network.depth=2 trainer.batch_size=64 trainer.steps=600 "
    "evaluator.every=32"
)
FAR = (
    "data=gaussian_1d data.mean=10 network.width=16 network.depth=2 trainer.batch_size=64 "
    "trainer.steps=400 evaluator.every=16 trainer.n_critic=10"
)
POINT = (
    "data=gaussian_1d data.std=0.05 data.mean=1 network.width=16 network.depth=1 trainer.ema=0 "
    "trainer.batch_size=256 trainer.steps=600 trainer.log_every=4 evaluator.every=4"
)
DIGITS = "data=digits network.width=64 trainer.steps=400 evaluator.every=32"
FROZEN = "optim.lr=1e-9"
SLOW = "optim.discriminator_lr=1e-5 trainer.n_critic=1"
CLIP = "regularizer=[weight_clipping] regularizer.weight_clipping.bound=0.3"
SCENARIOS = {
    "far_minimax": Scenario(f"{FAR} loss=minimax", 8, ("plateau",)),
    "far_least_squares": Scenario(f"{FAR} loss=least_squares"),
    "digits_minimax": Scenario(f"{DIGITS} loss=minimax trainer.n_critic=5", 4),
    "ring_strong_minimax": Scenario(
        f"{WIDE} loss=minimax optim.lr=5e-4 optim.discriminator_lr=3e-3 trainer.n_critic=3"
    ),
    "ring_fast_generator": Scenario(
        f"{WIDE} loss=non_saturating optim.lr=2e-3 optim.discriminator_lr=5e-4"
    ),
    "digits_non_saturating": Scenario(f"{DIGITS} loss=non_saturating"),
    "ring_wind": Scenario(f"{RING} loss=wasserstein", 8, ("critic_drift",), wind=True),
    "line_slow_critic": Scenario(f"{LINE} loss=wasserstein data.mean=3 {SLOW}"),
    "ring_slow_critic": Scenario(f"{RING} loss=wasserstein {SLOW}"),
    "point_sgd_minimax": Scenario(
        f"{POINT} loss=minimax optim=sgd optim.lr=0.05 optim.momentum=0.5"
    ),
    "point_non_saturating": Scenario(f"{POINT} loss=non_saturating optim.lr=3e-3"),
    "ring_fast_critic": Scenario(f"{RING} loss=wasserstein optim.lr=0.1"),
    "ring_frozen": Scenario(
        f"{RING} loss=non_saturating {FROZEN} optim.discriminator_lr=1e-3", 8, ("plateau",)
    ),
    "line_non_saturating": Scenario(f"{LINE} loss=non_saturating"),
    "line_minimax": Scenario(f"{LINE} loss=minimax"),
    "line_fast": Scenario(f"{LINE} loss=non_saturating data.mean=2 optim.lr=1e-2"),
    "line_clipped": Scenario(
        f"{LINE} loss=wasserstein {CLIP} optim=rmsprop optim.lr=5e-3 data.mean=2 trainer.n_critic=1"
    ),
    "ring_clipped": Scenario(f"{RING} loss=wasserstein_clip"),
    "line_wasserstein": Scenario(f"{LINE} loss=wasserstein"),
    "ring_wasserstein": Scenario(f"{RING} loss=wasserstein"),
    "ring_least_squares": Scenario(f"{WIDE} loss=least_squares"),
    "ring_non_saturating": Scenario(f"{WIDE} loss=non_saturating"),
    "ring_minimax": Scenario(f"{WIDE} loss=minimax"),
    "digits_wasserstein": Scenario(f"{DIGITS} loss=wasserstein trainer.n_critic=3", 4),
}


def train(name: str, which: str) -> Path:
    """Train a scenario unless it is there; a run that diverges is whole, too."""
    path, scenario = RUNS / which / name, SCENARIOS[name]
    if (path / "done").exists():
        return path
    keys = (*BASE, *scenario.keys.split(), f"n_seeds={scenario.n_seeds}", f"seed={SEEDS[which]}")
    config = build_run_config(compose_config("train", keys))
    if scenario.wind:
        config = replace(config, regularizers={**config.regularizers, "wind": Wind()})
    shutil.rmtree(path, ignore_errors=True)
    start, quiet = time.process_time(), io.StringIO()
    with contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
        try:
            training.start(config, open_source(config), path)
        except RunDiverged as error:
            (path / "diverged").write_text(str(error))
    (path / "done").write_text(f"{time.process_time() - start:.1f}")
    return path


# What a run is, by numbers that its detector does not use or by its construction. Every
# label is True, False, or None where the numbers do not say clearly; those runs count nowhere.


def labels(name: str, rows: list[Row]) -> dict[str, bool | None]:
    """Kind -> whether the run shows it."""
    constructed = SCENARIOS[name].constructed
    w1 = column(rows, "divergence/wasserstein")
    floor = rows[-1]["divergence/wasserstein_floor"]
    end = rows[-1]["final/divergence/wasserstein"]
    best = min(w1)
    gained, rose = max(w1[0] - best, 0.0), end - best
    half = (w1[len(w1) // 2] - floor) / max(w1[0] - floor, 1e-9)
    last = (end - floor) / max(w1[0] - floor, 1e-9)
    fresh = column(rows, "discriminator_estimate/wasserstein_fresh")
    return {
        "saturation": None if FROZEN in SCENARIOS[name].keys else stuck(rows, w1),
        "collapse": narrow(rows),
        "critic_drift": "critic_drift" in constructed,
        "sign_flip": flipped(fresh) if fresh else False,
        "oscillation": swings(rows),
        "divergence": clear(rose >= 0.5 * best and rose >= 0.25 * gained, rose <= 0.2 * best),
        "plateau": clear("plateau" in constructed, last < 0.7 * half or end < 1.2 * floor),
    }


def clear(yes: bool, no: bool) -> bool | None:
    """One of two that exclude each other, or neither."""
    return True if yes else False if no else None


def column(rows: list[Row], tag: str) -> list[float]:
    """All values of a tag."""
    return [row[tag] for row in rows if tag in row]


def stuck(rows: list[Row], w1: list[float]) -> bool | None:
    """JS on fresh batches within 1 % of log 2 at three readings, and W1 no better at the end.

    The detector reads the training loss and the gradient, the label neither.
    """
    js = column(rows, "discriminator_estimate/js_fresh")
    share = [value / math.log(2) for value in js]
    right = [i for i in range(len(share) - 2) if min(share[i : i + 3]) >= 0.99]
    if not right:
        return clear(False, max(share, default=0.0) < 0.9)
    return clear(w1[-1] >= 0.95 * w1[right[0]], w1[-1] < 0.7 * w1[right[0]])


def narrow(rows: list[Row]) -> bool | None:
    """The final spread is under half the data's, or good samples miss a quarter of the modes.

    From the final evaluation: other samples, and more of them, than the detector has seen.
    """
    row, spread = rows[-1], "final/samples/pairwise_distance"
    share = row[spread] / row[f"{spread}_floor"]
    first = rows[0]["samples/pairwise_distance_high"]
    misses = False
    if "final/modes/covered" in row and row["final/modes/covered_floor"] >= 4:
        good = row["final/modes/high_quality"] >= 0.5 * row["final/modes/high_quality_floor"]
        misses = good and row["final/modes/covered"] <= 0.75 * row["final/modes/covered_floor"]
    if share < 0.5 and row[spread] < 2 * first:
        return None  # it has not been trained at all
    return clear(share < 0.5 or misses, share > 0.7 and not misses)


def flipped(fresh: list[float]) -> bool | None:
    """Two readings in a row of the critic on fresh batches below -10 % of its largest, or never."""
    scale = max(map(abs, fresh))
    lowest = min(max(pair) for pair in itertools.pairwise(fresh))
    return clear(lowest < -0.1 * scale, min(fresh) > -0.02 * scale)


def swings(rows: list[Row]) -> bool | None:
    """Six turns of the ruler's W1, each by more than its intervals, in the last half of the run.

    The detector reads losses and gradients, the label neither. Where the ruler looks too rarely to
    see a turn of the loss, runs that are healthy at the end are taken not to swing.
    """
    tag = "divergence/wasserstein"
    looks = [(row[f"{tag}_low"], row[f"{tag}_high"]) for row in rows if tag in row]
    looks = looks[len(looks) // 2 :]
    if len(looks) < 40:
        return False if healthy(rows) else None
    turns, up = 0, None
    low, high = looks[0]
    for now in looks[1:]:
        if now[0] > high and up is not True:
            turns, up, (low, high) = turns + 1, True, now
        elif now[1] < low and up is not False:
            turns, up, (low, high) = turns + 1, False, now
        elif (up is True and now[1] > high) or (up is False and now[0] < low):
            low, high = now
    return clear(turns >= 6, turns <= 2)


def healthy(rows: list[Row]) -> bool:
    """At the end most of the distance is gone and the samples are as spread as the data."""
    row, tag, spread = rows[-1], "divergence/wasserstein", "final/samples/pairwise_distance"
    floor = row[f"final/{tag}_floor"]
    left = (row[f"final/{tag}"] - floor) / (rows[0][tag] - rows[0][f"{tag}_floor"])
    return left <= 0.35 and row[spread] > 0.7 * row[f"{spread}_floor"]


def replay(name: str, rows: list[Row]) -> list[Event]:
    """Return what the detectors report of a run's rows."""
    loss = build_run_config(compose_config("train", [*BASE, *SCENARIOS[name].keys.split()])).loss
    monitor = Monitor(loss.card.equilibrium[0])
    return [event for row in rows for event in monitor.update(row)]


def rate(hits: int, n: int) -> str:
    """hits / n with the 95 % interval of Clopper and Pearson."""
    if n == 0:
        return "no such run"
    _, low, high = share(hits, n)
    return f"{hits} / {n} [{100 * low:.0f}, {100 * high:.0f}] %"


def rates(which: str, names: list[str]) -> str:
    """Train what is missing; return the table of rates, in Markdown."""
    hits: dict[tuple[str, bool], list[bool]] = defaultdict(list)
    reported: Counter[str] = Counter()
    n_healthy = n_any = n_runs = 0
    for name in names:
        for child in RunDir(train(name, which)).children():
            rows = read_metrics(child.metrics)
            if "final/divergence/wasserstein" not in rows[-1]:
                print(f"{name} {child.path.name}: stopped early, left out")
                continue
            kinds = {event.kind for event in replay(name, rows)}
            n_runs += 1
            truths = labels(name, rows)
            for kind, truth in truths.items():
                if truth is None:
                    continue
                hits[kind, truth].append(kind in kinds)
                if truth != (kind in kinds):
                    word = "missed" if truth else "false"
                    print(f"{name} {child.path.name}: {word} {kind}", flush=True)
            if healthy(rows) and True not in truths.values():
                n_healthy += 1
                n_any += bool(kinds)
                reported.update(kinds)
    lines = ["| kind | reported for runs that show it | for runs that do not | for healthy runs |"]
    lines += ["| --- | --- | --- | --- |"]
    for kind in KINDS:
        cells = [rate(sum(hits[kind, truth]), len(hits[kind, truth])) for truth in (True, False)]
        lines.append(f"| {kind} | {' | '.join(cells)} | {rate(reported[kind], n_healthy)} |")
    lines += [f"| any of them | | | {rate(n_any, n_healthy)} |", ""]
    lines += [f"{n_runs} runs of {len(names)} scenarios, seeds from {SEEDS[which]} on."]
    return "\n".join(lines)


def main() -> None:
    """Print the table; for the fresh set of all scenarios also write it into the page."""
    which, *names = sys.argv[1:] or ["tune"]
    table = rates(which, names or list(SCENARIOS))
    print(table)
    if which == "fresh" and not names:
        page = ROOT / "docs/diagnostics.md"
        before, rest = page.read_text().split(BEGIN)
        page.write_text(f"{before}{BEGIN}\n{table}\n{END}{rest.split(END)[1]}")


if __name__ == "__main__":
    main()
