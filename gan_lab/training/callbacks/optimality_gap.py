"""The optimality gap: how far the training discriminator is from its best response.

A copy of it is trained some more updates against the generator as it is. The gap is what the copy
gains on fresh batches. (On a finite set the real half of such a batch is training samples all the
same; the fakes are new.)
"""

from dataclasses import replace

import torch
from torch import Tensor

from gan_lab.engine.rng import Draws, Streams
from gan_lab.engine.schedule import Schedule
from gan_lab.engine.state import NetworkState
from gan_lab.engine.step import by_seed, update_discriminator_
from gan_lab.losses import Wasserstein
from gan_lab.regularizers import GradientPenalty
from gan_lab.regularizers.base import Tensors
from gan_lab.training.callback import AtInterval
from gan_lab.training.run import Run

_OWN = "discriminator_estimate/"
_LARGEST_NORM = f"{_OWN}gradient_norm_max"
UPDATES = 8  # of the copy
_EVALUATION_BATCHES = 4  # on which both are compared
_NEAR_OPTIMAL = 0.1  # an estimate that changes by less than this share may be trusted


class OptimalityGap(AtInterval):
    """Adds the optimality gap to the rows, after the evaluation of the step."""

    def on_step_end(self, run: Run) -> None:
        """Measure all seeds at once."""
        gap = {tag: value.cpu() for tag, value in measure_optimality_gap(run).items()}
        for index in run.active:
            row = run.rows[index]
            row |= {tag: float(value[index]) for tag, value in gap.items()}
            fresh, largest = row.get(f"{_OWN}wasserstein_fresh"), row.get(_LARGEST_NORM, 0.0)
            if fresh is not None and largest > 0:
                # A lower bound of W1 however the critic is regularized, if the largest gradient
                # norm of the evaluation's samples is the largest of all.
                row[f"{_OWN}wasserstein_per_gradient_norm"] = fresh / largest


def measure_optimality_gap(run: Run) -> Tensors:
    """Train a copy of every seed's discriminator a little more and compare both.

    Returns:
        discriminator_estimate/optimality_gap: by how much the copy's objective (loss and penalty)
        is lower, in the loss's unit, [S]; about 0 at the optimum, below 0 by noise.
        discriminator_estimate/near_optimal, where the loss has an estimate: 1 where that estimate
        changed by at most a tenth of its size, else 0.
        discriminator_estimate/js_fresh or wasserstein_fresh: the estimate on fresh batches.
        discriminator_estimate/penalty_bias, for a two-sided gradient penalty with target 1 on
        one-dimensional data: 2 penalty, which at the optimum is exactly the excess of the critic's
        value, (1/(2 weight)) int A^2/rho.
    """
    spec = replace(run.streams.spec, schedule=Schedule(UPDATES + _EVALUATION_BATCHES), max_steps=1)
    streams = Streams(run.seeds, spec, run.source, f"optimality gap {run.state.step}/")
    # Outside of the run, so that the copy gets every penalty at every update: its best response is
    # that to the whole objective, which both are judged by.
    draws = streams.draws(0).discriminator._replace(first=None)
    fakes = run.gradients.fakes(run.state, draws.z)
    d = run.state.discriminator
    copy = d.copy(run.config.optim)
    before = _evaluate(run, d, draws, fakes)
    for i in range(UPDATES):
        update_discriminator_(copy, run.gradients, draws, i, fakes[i])
    after = _evaluate(run, copy, draws, fakes)
    values = {f"{_OWN}optimality_gap": _objective(before) - _objective(after)}
    for tag in (f"{_OWN}js", f"{_OWN}wasserstein"):
        if tag in after:
            change_is_small = (after[tag] - before[tag]).abs() <= _NEAR_OPTIMAL * after[tag].abs()
            values[f"{_OWN}near_optimal"] = change_is_small.to(after[tag].dtype)
            values[f"{tag}_fresh"] = before[tag]
    if _has_known_bias(run):
        values[f"{_OWN}penalty_bias"] = 2 * before["loss/penalty"]
    return by_seed(values)


def _has_known_bias(run: Run) -> bool:
    kinds = list(run.config.regularizers.values())
    return (
        isinstance(run.config.loss, Wasserstein)
        and run.source.shape == (1,)
        and len(kinds) == 1
        and isinstance(kinds[0], GradientPenalty)
        and not kinds[0].one_sided
        and kinds[0].target == 1
    )


def _objective(values: Tensors) -> Tensor:
    return values["loss/discriminator"] + values["loss/penalty"]


def _evaluate(run: Run, network: NetworkState, draws: Draws, fakes: Tensor) -> Tensors:
    weights = {name: leaf.detach() for name, leaf in network.params.items()}
    loss = run.gradients.per_seed(run.gradients.objective.discriminator_loss)
    rows = [
        loss(weights, network.buffers, draws.real[i], fakes[i], draws.mix[i], draws.noise_of(i))[1]
        for i in range(UPDATES, UPDATES + _EVALUATION_BATCHES)
    ]
    return {tag: torch.stack([row[tag] for row in rows]).mean(0) for tag in rows[0]}
