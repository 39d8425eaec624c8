"""Why cross entropy and not squared error: gradients, saturated starts, precision, overfitting."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from matplotlib.figure import Figure

from gan_lab.experiments.base import Arrays, Curve, Experiment, Lab
from gan_lab.experiments.claims import Claim
from gan_lab.experiments.cross_entropy_gradients import claims
from gan_lab.experiments.cross_entropy_gradients import figures as drawings
from gan_lab.experiments.cross_entropy_gradients.formulas import (
    precision_part,
    sigmoid_part,
    soft_labels_part,
    softmax_part,
)
from gan_lab.experiments.cross_entropy_gradients.learning import neuron_part, overfitting_part
from gan_lab.validation import check_count, check_interval


@dataclass(frozen=True)
class CrossEntropyGradients(Experiment):
    """Cross entropy beside squared error, from one logit to networks that overfit.

    Attributes:
        learning_rate: Of one neuron, the same for both losses.
        threshold: Output of the neuron that counts as learned, where 0 is wanted; in (0, .5).
        n_starts: Random starts of the neuron for each seed.
        max_steps: Where the neuron gives up.
        n_train: Digits that a network sees; few, so that it overfits.
        width: Hidden units of that network.
        fit_steps: Of its training.
        fit_rate: Learning rate of its Adam.
    """

    learning_rate: float = 0.15
    threshold: float = 0.1
    n_starts: int = 200
    max_steps: int = 20_000
    n_train: int = 60
    width: int = 64
    fit_steps: int = 2000
    fit_rate: float = 3e-3

    title: ClassVar[str] = "Cross entropy and squared error"
    question: ClassVar[str] = (
        "Why does a sigmoid or softmax output learn by cross entropy of logits, not by squared "
        "error and not by clipped probabilities?"
    )
    reference: ClassVar[str] = (
        "Nielsen 2015, Neural Networks and Deep Learning, chapter 3; Cover and Thomas 2006, "
        "section 5.4"
    )

    def __post_init__(self) -> None:
        for name in ("n_starts", "max_steps", "n_train", "width", "fit_steps"):
            check_count(self, name)
        if self.n_train > 1297:
            raise ValueError(f"{type(self).__name__}.n_train={self.n_train} is above 1297 digits")
        # Above 1 descent takes strides that the flow, with which it is compared, knows nothing of.
        check_interval(self, "learning_rate", self.learning_rate, high=1)
        check_interval(self, "threshold", self.threshold, high=0.5)
        check_interval(self, "fit_rate", self.fit_rate)

    def measure(self, lab: Lab) -> Arrays:
        """Evaluate formulas in float64, train one neuron, then networks of several seeds."""
        arrays = sigmoid_part() | softmax_part(lab.seeds[0]) | soft_labels_part(lab.seeds[0])
        arrays |= precision_part()
        lab.tell("formulas and precision")
        neuron = (self.learning_rate, self.threshold, self.n_starts, self.max_steps)
        arrays |= neuron_part(lab.seeds, *neuron)
        lab.tell("one neuron")
        fit = (self.n_train, self.width, self.fit_steps, self.fit_rate)
        arrays |= overfitting_part(lab.seeds, *fit, lab.device)
        lab.tell("overfitting")
        return arrays

    def claims(self, arrays: Arrays) -> list[Claim]:
        """Claim formulas against autograd, then precision, learning and overfitting."""
        return [
            *claims.gradient_claims(arrays),
            *claims.label_claims(arrays),
            *claims.precision_claims(arrays),
            *claims.neuron_claims(arrays, self.learning_rate),
            *claims.overfitting_claims(arrays),
        ]

    def figures(self, arrays: Arrays) -> Mapping[str, Figure]:
        """Draw one picture a question."""
        return {
            "gradients": drawings.gradients(arrays),
            "one_neuron": drawings.one_neuron(arrays, self.learning_rate),
            "labels_and_slips": drawings.labels_and_slips(arrays),
            "precision": drawings.precision(arrays),
            "overfitting": drawings.overfitting(
                arrays, claims.stopping(arrays), self.n_train, self.fit_rate
            ),
        }

    def curves(self, arrays: Arrays) -> Mapping[str, Curve]:
        """Return medians over seeds of the fit, and the neuron's output from saturation."""
        curves = {
            f"fit/{part}_loss": (arrays["fit/step"], np.median(arrays[f"fit/{part}_loss"], 0))
            for part in ("train", "judge")
        }
        for name in ("cross_entropy", "squared"):
            output = arrays[f"neuron/{name}_output"][1]
            curves[f"neuron/{name}_output"] = (np.arange(0, len(output), 5), output[::5])
        return curves

    def notes(self, arrays: Arrays) -> list[str]:
        """Explain conventions, precision and overfitting."""
        stop = claims.stopping(arrays)
        rows = np.arange(len(stop))
        truth = arrays["precision/loss"]
        small = (truth > 1e-3) & (truth < 1e-2)
        error = np.abs(arrays["precision/float32_loss"][0][small] / truth[small] - 1).max()
        loss, accuracy = arrays["fit/judge_loss"], arrays["fit/judge_accuracy"]
        return [
            "Squared error is (a - y)^2 here; books that write (a - y)^2/2 have half of its "
            "gradient, (a - y) a (1 - a). Neither factor changes where it vanishes.",
            "The two losses share one learning rate but not one scale, so compare how much longer "
            "a saturated start takes, not the steps themselves.",
            "From logits, too, a loss near 0 loses digits in float32: where it is .001 to .01 it "
            f"is off by up to {error:.1e} of itself: for the label 0 torch forms x - log s(x).",
            "The clipped form gets its probability from the network in the network's precision, "
            "and is computed in float32; the plain form stays in the network's precision.",
            f"Held-out cross entropy goes from {np.median(loss[rows, stop]):.3f} nats where half "
            f"of the digits would stop to {np.median(loss[:, -1]):.3f} at the end, while held-out "
            f"accuracy goes from {np.median(accuracy[rows, stop]):.3f} to "
            f"{np.median(accuracy[:, -1]):.3f} (medians over seeds): the answers stay, the wrong "
            "ones only become surer.",
        ]
