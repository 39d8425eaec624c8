"""Detectors on losses, gradient norms and the critic's own estimate, logged in every row."""

import itertools
import math
from collections import deque
from typing import ClassVar

import numpy as np

from gan_lab.diagnostics.detector import Detector, Row, Verdict, number
from gan_lab.diagnostics.periodicity import Period, find_period


class Saturation(Detector):
    """The discriminator is right nearly everywhere while the generator's gradient vanishes.

    Args:
        equilibrium: The discriminator's loss where it cannot tell real from fake, > 0. 1 % of it
            is, for a cross entropy, a bound within 1 % of log 2.
    """

    kind = "saturation"
    explanation = (
        "The discriminator tells real from fake almost without error and the gradient that the "
        "generator gets has fallen by decades: it has nothing left to learn from."
    )
    advice = (
        "Try loss=non_saturating or loss=wasserstein, a weaker discriminator (trainer.n_critic=1), "
        "or blur both sides with 'regularizer=[instance_noise]'."
    )
    share: ClassVar[float] = 0.01  # of the equilibrium loss
    fall: ClassVar[float] = 100.0  # of the gradient's norm from its peak, a factor
    share_over: ClassVar[float] = 0.05
    fall_over: ClassVar[float] = 10.0

    def __init__(self, equilibrium: float) -> None:
        super().__init__()
        self._equilibrium, self._peak = equilibrium, 0.0

    def check(self, step: int, row: Row) -> Verdict | None:
        """Read loss/discriminator and gradient/generator_norm."""
        loss, norm = number(row, "loss/discriminator"), number(row, "gradient/generator_norm")
        if not (math.isfinite(loss) and math.isfinite(norm)):
            return None
        self._peak = max(self._peak, norm)
        if self._peak == 0:
            return None
        share = loss / self._equilibrium
        fell = self._peak / norm if norm > 0 else math.inf
        on = share <= self.share and fell >= self.fall
        over = share > self.share_over or fell < self.fall_over
        numbers = {"discriminator loss / its value at equilibrium": share}
        return Verdict(on, over, numbers | {"peak / generator's gradient norm": fell})


class CriticDrift(Detector):
    """The critic's logits have drifted far beyond any difference between real and fake so far."""

    kind = "critic_drift"
    explanation = (
        "The critic's mean logit is far from zero, many times the largest difference it has seen "
        "between real and fake. Its loss is blind to a constant, so nothing pulls it back: digits "
        "are lost, and the generator's logged loss means nothing."
    )
    advice = (
        "Try a slower critic (optim.discriminator_lr=1e-4), optim.decay=linear, or "
        "loss=hinge, which fixes the constant."
    )
    ratio: ClassVar[float] = 30.0  # of |offset| to the largest |W| so far
    ratio_over: ClassVar[float] = 10.0
    growth: ClassVar[float] = 1.5  # of |offset| since half the rows: a clipped bias stands
    least_rows: ClassVar[int] = 10  # an untrained critic makes no difference to compare with

    def __init__(self) -> None:
        super().__init__()
        self._largest, self._offsets = 0.0, list[float]()

    def check(self, step: int, row: Row) -> Verdict | None:
        """Read discriminator_estimate/offset and /wasserstein."""
        offset = number(row, "discriminator_estimate/offset")
        difference = number(row, "discriminator_estimate/wasserstein")
        if not (math.isfinite(offset) and math.isfinite(difference)):
            return None
        self._largest = max(self._largest, abs(difference))
        self._offsets.append(abs(offset))
        if self._largest == 0 or len(self._offsets) < self.least_rows:
            return None
        ratio = abs(offset) / self._largest
        before = self._offsets[len(self._offsets) // 2]
        on = ratio >= self.ratio and abs(offset) >= self.growth * before
        numbers = {
            "mean logit [data units x slope]": offset,
            "critic's W [data units x slope]": difference,
            "|mean logit| / largest |W| so far": ratio,
        }
        return Verdict(on, ratio < self.ratio_over, numbers)


class SignFlip(Detector):
    """The critic ranks fakes above real samples: its W is negative beyond its noise."""

    kind = "sign_flip"
    explanation = (
        "The critic's W is negative beyond its noise: it ranks samples above data and sends the "
        "generator the wrong way. A distance cannot be negative; the critic is behind."
    )
    advice = (
        "Give the critic more updates (trainer.n_critic=10) or speed "
        "(optim.discriminator_lr=1e-3), or slow the generator (optim.lr=1e-4)."
    )
    noises: ClassVar[float] = 4.0  # standard deviations between neighbouring rows
    share: ClassVar[float] = 0.05  # of the largest |W| so far
    window: ClassVar[int] = 32  # rows that the noise is estimated from

    def __init__(self) -> None:
        super().__init__()
        self._values: deque[float] = deque(maxlen=self.window)
        self._largest = 0.0

    def check(self, step: int, row: Row) -> Verdict | None:
        """Read discriminator_estimate/wasserstein."""
        value = number(row, "discriminator_estimate/wasserstein")
        if not math.isfinite(value):
            return None
        self._values.append(value)
        self._largest = max(self._largest, abs(value))
        if len(self._values) < 4:
            return None
        # Differences of neighbours: a trend is no noise. The median: a jump is none either.
        jumps = np.abs(np.diff(np.array(self._values)))
        noise = float(np.median(jumps)) * 1.4826 / math.sqrt(2)
        numbers = {
            "critic's W [data units x slope]": value,
            "its noise, one standard deviation [data units x slope]": noise,
            "largest |W| so far [data units x slope]": self._largest,
        }
        on = value < -max(self.noises * noise, self.share * self._largest)
        return Verdict(on, value > 0, numbers)


class Oscillation(Detector):
    """The two networks circle: their numbers swing with one period, three times or more."""

    kind = "oscillation"
    explanation = (
        "Losses and gradients swing with one period: the players chase each other around the "
        "equilibrium instead of approaching it."
    )
    advice = (
        "Try 'regularizer=[gradient_penalty]' or 'regularizer=[r1]', a smaller optim.lr=1e-4, "
        "or optim.decay=linear; trainer.ema=0.999 averages the circle out of the samples."
    )
    tags: ClassVar[tuple[str, ...]] = (
        *("loss/discriminator", "loss/generator"),
        *("gradient/discriminator_norm", "gradient/generator_norm"),
    )
    window: ClassVar[int] = 32  # rows
    every: ClassVar[int] = 8  # rows between two checks
    strength: ClassVar[float] = 0.5  # of the autocorrelation, see `Period`
    strength_over: ClassVar[float] = 0.25
    agreement: ClassVar[float] = 0.15  # of the two periods
    alone: ClassVar[float] = 0.7  # weight of a series that no other confirms

    def __init__(self) -> None:
        super().__init__()
        self._rows: deque[tuple[float, ...]] = deque(maxlen=self.window)
        self._steps: deque[int] = deque(maxlen=self.window)
        self._rows_to_check = self.window

    def check(self, step: int, row: Row) -> Verdict | None:
        """Read both losses and both gradient norms."""
        values = tuple(number(row, tag) for tag in self.tags)
        if not any(map(math.isfinite, values)):
            return None
        self._rows.append(values)
        self._steps.append(step)
        self._rows_to_check -= 1
        if self._rows_to_check > 0:
            return None
        self._rows_to_check = self.every
        gaps = np.diff(np.array(self._steps))
        if (gaps[:-1] != gaps[0]).any():  # the last row of a run that was extended
            return None
        periods = (find_period(column) for column in np.array(self._rows).T)
        candidates = [p for p in periods if p is not None] or [Period(0.0, 0.0)]
        alone = max(candidates, key=lambda p: p.strength)
        first, second = self._strongest_pair(candidates)
        strength = min(first.strength, second.strength)
        if self.alone * alone.strength > strength:
            first, second, strength = alone, alone, self.alone * alone.strength
        numbers = {
            "period [steps]": max(first.lag, second.lag) * float(gaps[0]),
            "strength of the period, 1 for a pure tone": min(first.strength, second.strength),
        }
        return Verdict(strength >= self.strength, strength < self.strength_over, numbers)

    def _strongest_pair(self, candidates: list[Period]) -> tuple[Period, Period]:
        """Return the two strongest that share a period; of strength 0 where there are none.

        Twice the period counts as shared: what depends on the distance from the equilibrium swings
        twice while the two networks go around once.
        """
        pairs = [
            (a, b)
            for a, b in itertools.combinations(candidates, 2)
            for ratio in (0.5, 1.0, 2.0)
            if abs(a.lag - ratio * b.lag) <= max(1.0, self.agreement * a.lag)
        ]
        nothing = (Period(0.0, 0.0), Period(0.0, 0.0))
        return max(pairs, key=lambda pair: min(p.strength for p in pair), default=nothing)
