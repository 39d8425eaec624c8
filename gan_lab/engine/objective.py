"""The objective: a pure function from leaves, samples and noise to both networks' losses.

Nothing here mutates, allocates parameters or draws randomness. The modules are templates on the
meta device; the parameters are arguments, dictionaries of leaves. Every method is written for one
seed and may be vmapped over leaves stacked as [S, ...].
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.func import functional_call

from gan_lab.engine.labels import LABELS
from gan_lab.engine.precision import PLAIN, Arithmetic
from gan_lab.losses.base import AdversarialLoss
from gan_lab.networks.base import Packing, batch_coupling
from gan_lab.regularizers.base import Regularizer, Tensors, input_gradient, norms


@dataclass(frozen=True)
class Score:
    """A discriminator with its leaves filled in: samples [N, *shape] -> logits [N / packing].

    Attributes:
        in_transform: Whether it is called inside vmap or torch.func, where `input_gradient` has to
            differentiate with torch.func too.
        arithmetic: How it is computed.
        labels: The classes of N samples, one-hot [N, K]. Of k N samples, as where real and fake
            are joined, each N have these: all samples and points of one pair have one class.
    """

    module: nn.Module
    leaves: Tensors
    in_transform: bool = False
    arithmetic: Arithmetic = PLAIN
    labels: Tensor | None = None

    def __call__(self, x: Tensor) -> Tensor:
        """Return logits [N / packing] of samples [N, *shape]."""
        if self.labels is None:
            return self.arithmetic(self.module, self.leaves, x)
        labels = self.labels.repeat(len(x) // len(self.labels), 1)
        return self.arithmetic(self.module, self.leaves, x, labels)


@dataclass(frozen=True)
class Objective:
    """Two network templates, a loss and the regularizers of the discriminator.

    Attributes:
        generator: Template, z [N, latent_dim], of a conditional pair with a one-hot class after it
            -> samples [N, *shape].
        discriminator: Template, samples -> logits [N / packing].
        loss: The losses of both networks.
        regularizers: Of the discriminator, applied in this order.
        in_transform: See `Score`; set for stacked seeds.
        arithmetic: How both networks are computed in training; samples to show and to measure are
            always plain.
        penalty_factors: How many times each regularizer's penalty counts, 0 = it is not computed;
            None = each once. See `factors_at`.
    """

    generator: nn.Module
    discriminator: nn.Module
    loss: AdversarialLoss
    regularizers: Sequence[Regularizer] = ()
    in_transform: bool = False
    arithmetic: Arithmetic = PLAIN
    penalty_factors: tuple[int, ...] | None = None

    def factors_at(self, update: int | None) -> tuple[int, ...]:
        """Return how many times each penalty counts at a discriminator update.

        Args:
            update: Its index in the run, from 0; None outside of a run.

        Returns:
            For each regularizer `every` where that divides the index, else 0; 1 outside of a run.
        """
        if update is None:
            return (1,) * len(self.regularizers)
        return tuple(0 if update % each.every else each.every for each in self.regularizers)

    @property
    def factors(self) -> tuple[int, ...]:
        """How many times each penalty counts here."""
        return self.factors_at(None) if self.penalty_factors is None else self.penalty_factors

    @cached_property
    def independent(self) -> bool:
        """Whether the discriminator scores each sample by itself, so batches may be joined."""
        return batch_coupling(self.discriminator) is None

    @cached_property
    def generator_independent(self) -> bool:
        """Whether the generator maps each z by itself, so batches may be joined."""
        return batch_coupling(self.generator) is None

    @cached_property
    def packing(self) -> int:
        """How many samples the discriminator judges together."""
        return next((m.size for m in self.discriminator.modules() if isinstance(m, Packing)), 1)

    @cached_property
    def _sampler(self) -> nn.Module:
        return copy.deepcopy(self.generator).eval()

    def score(self, d: Tensors, d_buffers: Tensors, labels: Tensor | None = None) -> Score:
        """Return the reparametrized discriminator as a function of samples of some classes."""
        for regularizer in self.regularizers:
            d = regularizer.reparametrize(d, d_buffers)
        leaves = {**d, **d_buffers}
        return Score(self.discriminator, leaves, self.in_transform, self.arithmetic, labels)

    def landscape(self, d: Tensors, d_buffers: Tensors) -> Callable[[Tensor], Tensor]:
        """Return the discriminator as a function to draw: points [N, *shape] -> logits [N].

        A discriminator of packs has no logit of a single point; a point's is that of a pack of
        equal copies.
        """
        score, copies = self.score(d, d_buffers), self.packing
        return lambda points: score(points.repeat_interleave(copies, 0))

    def fakes(self, g: Tensors, g_buffers: Tensors, z: Tensor) -> Tensor:
        """Return samples to train the discriminator: [N, latent_dim] -> [N, *shape].

        The generator's running statistics stay as they are: a network's buffers change only in its
        own updates.
        """
        return self.arithmetic(self.generator, {**g, **_clone(g_buffers)}, z)

    def samples(self, g: Tensors, g_buffers: Tensors, z: Tensor) -> Tensor:
        """Return samples to show and to measure: batch norm uses its running statistics."""
        return functional_call(self._sampler, {**g, **g_buffers}, (z,))

    def discriminator_loss(
        self,
        d: Tensors,
        d_buffers: Tensors,
        real: Tensor,
        fake: Tensor,
        mix: Tensor,
        noise: Tensors,
    ) -> tuple[Tensor, Tensors, Tensors]:
        """Return the discriminator's loss on one batch.

        Args:
            d: Parameters of the discriminator.
            d_buffers: Its buffers; not mutated.
            real: Real samples, [N, *shape].
            fake: Generated samples, [N, *shape], without a graph.
            mix: Interpolation weights in [0, 1], [N].
            noise: Of the regularizers' `noise_spec`, each [N, *shape]; of a conditional run also
                "labels", the classes of the real samples and of the fake ones, [N, K].

        Returns:
            The mean loss plus penalties (scalar), the values to log (scalars), the new buffers.
        """
        buffers = _clone(d_buffers)
        score = self.score(d, buffers, noise.get(LABELS))
        real, fake = self._inputs(real, fake, noise)
        real_logits, fake_logits = self._logits(score, real, fake)
        loss, values = self.judge_logits(real_logits, fake_logits)
        penalty = plain = loss.new_zeros(())
        for regularizer, factor in zip(self.regularizers, self.factors, strict=True):
            if factor:  # else not even its points are computed
                mean = regularizer.penalty(score, real, fake, mix, noise).mean()
                penalty, plain = penalty + times(factor, mean), plain + mean.detach()
        return loss + penalty, {**values, **self.penalty_values(plain)}, buffers

    def penalty_values(self, plain: Tensor) -> Tensors:
        """Return the value to log of the sum of mean penalties, each once, whatever its factor.

        There is none where a penalty is left out: the sum would be of others than it mostly is.
        """
        return {"loss/penalty": plain.detach()} if all(self.factors) else {}

    def judge_logits(self, real_logits: Tensor, fake_logits: Tensor) -> tuple[Tensor, Tensors]:
        """Return the discriminator's mean loss without penalties, and its values to log."""
        loss = self.loss.discriminator(real_logits, fake_logits).mean()
        return loss, self.loss_values(loss, real_logits, fake_logits)

    def loss_values(self, loss: Tensor, real_logits: Tensor, fake_logits: Tensor) -> Tensors:
        """Return the values to log of the discriminator's mean loss and of its logits [N]."""
        estimate = self.loss.estimate(real_logits.detach(), fake_logits.detach())
        values = {f"discriminator_estimate/{name}": value for name, value in estimate.items()}
        return {"loss/discriminator": loss.detach(), **values}

    def generator_loss(
        self,
        g: Tensors,
        g_buffers: Tensors,
        d: Tensors,
        d_buffers: Tensors,
        real: Tensor,
        z: Tensor,
        noise: Tensors,
    ) -> tuple[Tensor, Tensors, Tensors]:
        """Return the generator's loss on one batch.

        Returns:
            The mean loss (scalar), the values to log (scalars), the generator's new buffers.
        """
        buffers = _clone(g_buffers)
        score = self.score(d, _clone(d_buffers), noise.get(LABELS))
        fake = self.arithmetic(self.generator, {**g, **buffers}, z)
        real, fake = self._inputs(real, fake, noise)
        if self.loss.compares_real:
            real_logits, fake_logits = self._logits(score, real, fake)
        else:
            fake_logits = score(fake)
            real_logits = torch.zeros_like(fake_logits)
        loss = self.loss.generator(real_logits, fake_logits).mean()
        return loss, {"loss/generator": loss.detach()}, buffers

    def gradient_norms(
        self,
        d: Tensors,
        d_buffers: Tensors,
        real: Tensor,
        fake: Tensor,
        mix: Tensor,
        labels: Tensor | None = None,
    ) -> Tensors:
        """Return the discriminator's gradient norms on real, fake and interpolated samples.

        Returns:
            Mean and maximum, scalars, in logits per data unit.
        """
        weights = mix.reshape(-1, *[1] * (real.ndim - 1))
        points = torch.cat([real, fake, weights * real + (1 - weights) * fake])
        norm = norms(input_gradient(self.score(d, d_buffers, labels), points)).detach()
        return {
            "discriminator_estimate/gradient_norm_mean": norm.mean(),
            "discriminator_estimate/gradient_norm_max": norm.amax(),
        }

    def _inputs(self, real: Tensor, fake: Tensor, noise: Tensors) -> tuple[Tensor, Tensor]:
        for regularizer in self.regularizers:
            real, fake = regularizer.inputs(real, fake, noise)
        return real, fake

    def _logits(self, score: Score, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        if not self.independent:
            return score(real), score(fake)
        # One forward for both: the same numbers for less overhead, but only where no layer mixes
        # the samples of a batch.
        real_logits, fake_logits = score(torch.cat([real, fake])).split(len(real))
        return real_logits, fake_logits


def times(factor: int, penalty: Tensor) -> Tensor:
    """Return factor times a penalty; once, it is the penalty itself, in as many operations."""
    return penalty if factor == 1 else factor * penalty


def _clone(buffers: Tensors) -> Tensors:
    return {name: buffer.clone() for name, buffer in buffers.items()}
