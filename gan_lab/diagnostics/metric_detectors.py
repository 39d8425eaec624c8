"""Detectors on the evaluator's estimates: rare, with intervals, and comparable across losses."""

import bisect
import math
from typing import ClassVar

import numpy as np
from scipy.special import stdtrit

from gan_lab.diagnostics.detector import Detector, Measurement, Row, Verdict, measurement
from gan_lab.runs.headline import HEADLINES, WASSERSTEIN, headline_of

_SPREAD = "samples/pairwise_distance"
_MODES, _QUALITY = "modes/covered", "modes/high_quality"


class _Headline:
    """One seed's rows seen by their headline; the first row that has one settles which it is."""

    def __init__(self) -> None:
        self._tag: str | None = None

    def measurement(self, step: int, row: Row) -> Measurement | None:
        """Return the row's estimate; None where it has none."""
        # Thresholds were set for W1 and FD: an unbiased distance near 0 has no ratio to a floor.
        self._tag = self._tag or headline_of(row, high_dimensional=False)
        return None if self._tag is None else measurement(step, row, self._tag)

    def label(self, text: str) -> str:
        """Return "W1 now [data units]" or "FD now" of "now": a name for a number of an event."""
        assert self._tag is not None
        unit = " [data units]" if self._tag == WASSERSTEIN else ""
        return f"{HEADLINES[self._tag]} {text}{unit}"


class Collapse(Detector):
    """The samples are much more alike than the data are, or modes that were covered are gone.

    An untrained generator makes samples that are all alike, too. So a small spread counts only
    after it was large, or when it has grown, twofold at least, and stopped: when it is no larger
    than it was at half the steps. Modes count as gone after they were covered, or where the
    samples are good and yet miss some.
    """

    kind = "collapse"
    patience = 3
    explanation = (
        "The generator makes fewer different samples than the data have: its spread, or the number "
        "of modes it covers, is clearly below that of real samples."
    )
    advice = (
        "Try loss=wasserstein with its penalty, network.packing=2, more discriminator updates "
        "(trainer.n_critic=5), or a slower generator (optim.lr=1e-4 optim.discriminator_lr=1e-3)."
    )
    spread: ClassVar[float] = 0.5  # of the data's own
    spread_over: ClassVar[float] = 0.7
    growth: ClassVar[float] = 0.03  # of the data's own since half the steps: still growing
    min_growth: ClassVar[float] = 2.0  # times the first estimate: it has been trained
    modes_gone: ClassVar[float] = 0.25  # of the data's modes, and at least two of them
    good: ClassVar[float] = 0.5  # of the data's own share of high quality
    min_steps: ClassVar[int] = 200

    def __init__(self) -> None:
        super().__init__()
        self._measurements: list[Measurement] = []
        self._widest = self._max_modes = 0.0  # lower ends of the best intervals so far

    def check(self, step: int, row: Row) -> Verdict | None:
        """Read samples/pairwise_distance and modes/covered with their intervals and floors."""
        tags = (_SPREAD, _MODES, _QUALITY)
        spread, modes, quality = (measurement(step, row, tag) for tag in tags)
        some = [v for v in (self._of_spread(spread), self._of_modes(modes, quality)) if v]
        if not some:
            return None
        numbers = {name: value for verdict in some for name, value in verdict.numbers.items()}
        return Verdict(any(v.on for v in some), all(v.over for v in some), numbers)

    def _of_spread(self, now: Measurement | None) -> Verdict | None:
        if now is None or not (now.has_interval and now.floor > 0):
            return None
        self._measurements.append(now)
        self._widest = max(self._widest, now.low)
        was_wide = self._widest >= 0.8 * now.floor
        # The last estimate at or before half the steps.
        index = bisect.bisect_right(self._measurements, now.step / 2, key=lambda each: each.step)
        stands_still = (
            index > 0
            and now.step >= self.min_steps
            and self._widest >= self.min_growth * self._measurements[0].high
            and now.value <= self._measurements[index - 1].value + self.growth * now.floor
        )
        on = now.high < self.spread * now.floor and (was_wide or stands_still)
        numbers = {"mean distance between samples [data units]": now.value}
        numbers["the same of real samples [data units]"] = now.floor
        return Verdict(on, now.low > self.spread_over * now.floor, numbers)

    def _of_modes(self, now: Measurement | None, quality: Measurement | None) -> Verdict | None:
        if now is None or not (now.has_interval and now.floor > 0):
            return None
        self._max_modes = max(self._max_modes, now.low)
        least = max(2.0, self.modes_gone * now.floor)
        missing = quality is not None and quality.low >= self.good * quality.floor
        limit = max(self._max_modes, now.floor if missing else 0.0)
        numbers = {
            "modes covered [modes]": now.value,
            "modes covered at its best, at least [modes]": self._max_modes,
            "modes covered by real samples [modes]": now.floor,
        }
        return Verdict(limit - now.high >= least, limit - now.value < 1.0, numbers)


class Divergence(Detector):
    """The headline (W1, FD on images) lies well above its best: what was learned is being lost.

    A number that is not finite stops the run; `not_finite` is that event.
    """

    kind = "divergence"
    explanation = (
        "The distance between samples and data is, with its interval, well above the best of this "
        "run: what was learned is being lost."
    )
    advice = (
        "Try a smaller step (optim.lr=1e-4), a stronger hold on the discriminator "
        "('regularizer=[gradient_penalty]') or optim.decay=linear, and keep an earlier checkpoint."
    )
    factor: ClassVar[float] = 1.5  # of the best estimate's upper end
    setback: ClassVar[float] = 0.25  # of the whole gain since the first estimate
    factor_over: ClassVar[float] = 1.2

    def __init__(self) -> None:
        super().__init__()
        self._headline = _Headline()
        self._first: float | None = None
        self._best: Measurement | None = None

    def check(self, step: int, row: Row) -> Verdict | None:
        """Read the headline with its interval."""
        now = self._headline.measurement(step, row)
        if now is None or math.isnan(now.value) or math.isnan(now.low):
            return None
        self._first = now.value if self._first is None else self._first
        best = self._best
        if best is None or now.high < best.high:
            self._best = now
            return Verdict(False, True, {})
        above, gain = now.low - best.high, max(self._first - best.high, 0.0)
        on = now.low > self.factor * best.high and above > self.setback * gain
        numbers = {
            self._headline.label("now, lower end"): now.low,
            self._headline.label("at its best, upper end"): best.high,
            "best at step": float(best.step),
        }
        return Verdict(on, now.value <= self.factor_over * best.high, numbers)


class Plateau(Detector):
    """The headline (W1, FD on images) has stopped improving, above what real samples get.

    That there is no gain has to be shown, too: the estimates of the last half of the run are
    divided in two, and the 95 % interval of the gain between the halves has to lie within a small
    range around 0. A run that swings has a wide interval and is no plateau.
    """

    kind = "plateau"
    explanation = (
        "Over the last half of the run so far the distance to the data has not improved, although "
        "real samples get a clearly smaller one: more steps of the same will not help."
    )
    advice = (
        "Change something: loss=wasserstein, a larger network (network.width=512), optim.lr=1e-3, "
        "or a smaller step at the end (optim.decay=linear)."
    )
    gain: ClassVar[float] = 0.1  # of the distance above the floor: the end further from 0
    excess: ClassVar[float] = 0.5  # above the floor, in floors
    gain_over: ClassVar[float] = 0.2
    min_measurements: ClassVar[int] = 8
    min_steps: ClassVar[int] = 200

    def __init__(self) -> None:
        super().__init__()
        self._headline = _Headline()
        self._measurements: list[Measurement] = []

    def check(self, step: int, row: Row) -> Verdict | None:
        """Read the headline with its interval and floor."""
        now = self._headline.measurement(step, row)
        if now is None or not (now.has_interval and math.isfinite(now.value) and now.floor > 0):
            return None
        self._measurements.append(now)
        self._measurements = half = [each for each in self._measurements if each.step > step / 2]
        if len(half) < self.min_measurements or step < self.min_steps:
            return None
        values, middle = np.array([r.value for r in half]), len(half) // 2
        gain, error = _gain(values[:middle], values[middle:])
        above_floor = float(np.mean(values[:middle])) - now.floor
        lows = float(np.mean([r.low for r in half[middle:]]))
        on = abs(gain) + error < self.gain * above_floor and lows > (1 + self.excess) * now.floor
        over = abs(gain) - error > self.gain_over * above_floor or now.low <= now.floor
        numbers = {
            self._headline.label("gained, upper end"): gain + error,
            self._headline.label("above that of real samples"): above_floor,
            "since step": float(half[0].step),
        }
        return Verdict(on, over, numbers)


def _gain(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """Return by how much the mean fell from a to b, and half its 95 % interval (Welch)."""
    va, vb = a.var(ddof=1) / len(a), b.var(ddof=1) / len(b)
    fall = float(a.mean() - b.mean())
    if va + vb == 0:
        return fall, 0.0
    freedom = (va + vb) ** 2 / (va**2 / (len(a) - 1) + vb**2 / (len(b) - 1))
    return fall, float(stdtrit(freedom, 0.975) * np.sqrt(va + vb))
