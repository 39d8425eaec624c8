"""The dynamics of the Dirac-GAN, a GAN of two numbers, under the project's own losses.

The data are a point at 0, the generator is a point at theta, the discriminator is linear. As in the
authors' notebook psi x is the log-odds that x is *fake*, so the logit that a loss is given is
-psi x; a run from (1, 1) then starts with a discriminator that is right about the fake.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from gan_lab.losses import Minimax, NonSaturating, Wasserstein
from gan_lab.losses.base import AdversarialLoss
from gan_lab.regularizers import R1, GradientPenalty, InstanceNoise, WeightClipping
from gan_lab.regularizers.base import Regularizer

# Name -> discriminator updates after each update of the generator; 0 = both at once.
SCHEMES = {"simultaneous": 0, "alternating_1": 1, "alternating_5": 5}
_NODES = 64  # of the Gauss-Hermite rule; 32 give the same digits


@dataclass(frozen=True)
class Method:
    """One way to train the Dirac-GAN, and what is known of it.

    Attributes:
        title: For pictures.
        loss: Of both networks.
        regularizers: Of the discriminator.
        table: Final |(theta, psi)| for each scheme, as printed.
        linear: (coupling, damping of theta, damping of psi) of the gradient field at (0, 0), in
            closed form; None where it has a kink there.
        consensus: Weight of |v|^2 / 2 in both networks' losses, v the vector of both gradients.
        curvature: Share of v's own change that the consensus term's gradient keeps: 1 is the true
            gradient, 1/2 is the authors' notebook, which halves the terms with f''.
    """

    title: str
    loss: AdversarialLoss
    regularizers: tuple[Regularizer, ...] = ()
    table: str = ""
    linear: tuple[float, float, float] | None = None
    consensus: float = 0.0
    curvature: float = 1.0


_MINIMAX, _NS, _WASSERSTEIN = Minimax(), NonSaturating(), Wasserstein()
# At logit 0 a cross entropy has slope 1/2 and curvature 1/4, hence the couplings 1/2, the damping
# 2 std^2 / 4 of instance noise and consensus * (1/2)^2. The notebook's gradient penalty has the
# weight .7 and a factor 1/2 that ours has not.
_CLIP, _PENALTY, _NOISE = WeightClipping(1.0), GradientPenalty(0.35), InstanceNoise(0.7)
METHODS: dict[str, Method] = {
    "minimax": Method("minimax", _MINIMAX, (), "3.097 1.421 1.845", (0.5, 0, 0)),
    "non_saturating": Method("non-saturating", _NS, (), ".6402 .2839 .1389", (0.5, 0, 0)),
    "wasserstein_clip": Method(
        "Wasserstein, clip 1", _WASSERSTEIN, (_CLIP,), "1.002 1.024 .917", (1.0, 0, 0)
    ),
    "wasserstein": Method("WGAN-GP, weight .7", _WASSERSTEIN, (_PENALTY,), "1.802 1.221 .716"),
    "instance_noise": Method(
        "minimax + instance noise .7",
        _MINIMAX,
        (_NOISE,),
        "5.73e-5 4.00e-6 4e-17",
        (0.5, 0, 0.7**2 / 2),
    ),
    "r1": Method("minimax + R1 .3", _MINIMAX, (R1(0.3),), "2.64e-6 2.30e-7 9e-34", (0.5, 0, 0.3)),
    "r1_critical": Method(
        "minimax + R1 1 (critical)", _MINIMAX, (R1(1.0),), "9.5e-22 7.5e-17 5.1e-12", (0.5, 0, 1.0)
    ),
    "non_saturating_r1": Method(
        "non-saturating + R1 .3", _NS, (R1(0.3),), "2.2e-6 1.5e-7 4e-34", (0.5, 0, 0.3)
    ),
    "consensus": Method(
        "minimax + consensus 1", _MINIMAX, (), "2.1e-10 1.3e-11 5e-33", (0.5, 0.25, 0.25), 1.0, 0.5
    ),
}
# The same with the gradient that the definition of consensus optimisation asks for.
TRUE_CONSENSUS = Method("consensus 1, true gradient", _MINIMAX, consensus=1.0)


def gradient(method: Method, network: str, theta: Tensor, psi: Tensor) -> Tensor:
    """Return the gradient of a network's loss by its own number, differentiable once more.

    The generator's is by theta, the discriminator's by psi, each [B] for B trainings at once.
    """
    graph = theta.requires_grad or psi.requires_grad
    # Copies, so that a theta that was computed from psi counts as a number of its own.
    theta, psi = (x.clone() if graph else x.detach().requires_grad_(True) for x in (theta, psi))
    loss = _loss(method, network, theta, psi)
    own = theta if network == "generator" else psi
    (result,) = torch.autograd.grad(loss, own, create_graph=graph)
    return result


def _loss(method: Method, network: str, theta: Tensor, psi: Tensor) -> Tensor:
    """Return the sum over trainings of what a network minimises."""
    noisy = any(isinstance(each, InstanceNoise) for each in method.regularizers)
    nodes, weights = _hermite(_NODES if noisy else 1)
    n_starts, n_nodes = len(theta), len(nodes)
    fake = theta[:, None].expand(-1, n_nodes).reshape(-1, 1)
    real = torch.zeros_like(fake)
    log_odds = psi[:, None].expand(-1, n_nodes).reshape(-1)
    noise = nodes.repeat(n_starts)[:, None]
    for regularizer in method.regularizers:
        noises = {"instance_real": noise, "instance_fake": noise}
        real, fake = regularizer.inputs(real, fake, noises)

    def score(x: Tensor) -> Tensor:
        return -log_odds * x[:, 0]

    def total(values: Tensor) -> Tensor:
        return (values.reshape(n_starts, n_nodes) @ weights).sum()

    logits = score(real), score(fake)
    loss = total(getattr(method.loss, network)(*logits))
    if network == "discriminator":
        for regularizer in method.regularizers:
            mix = torch.zeros_like(log_odds)  # any point will do: a line has one slope
            loss = loss + total(regularizer.penalty(score, real, fake, mix))
    if method.consensus:
        loss = loss + method.consensus * _agreement(method, theta, psi, *logits)
    return loss


def _agreement(method: Method, theta: Tensor, psi: Tensor, real: Tensor, fake: Tensor) -> Tensor:
    """Return |v|^2 / 2, v = (psi, theta) times the losses' derivatives by the fake's logit."""
    half = torch.zeros((), dtype=theta.dtype)
    for own, network in ((psi, "generator"), (theta, "discriminator")):
        loss = getattr(method.loss, network)(real, fake).sum()
        square = torch.autograd.grad(loss, fake, create_graph=True)[0].square()
        partial = method.curvature * square + (1 - method.curvature) * square.detach()
        half = half + (own.square() * partial).sum() / 2
    return half


def update(
    method: Method, rate: float, counts: Tensor, theta: Tensor, psi: Tensor
) -> tuple[Tensor, Tensor]:
    """Take one step of B trainings, each [B]: the generator, then `counts` discriminator updates.

    A count of 0 is one update from the old theta: both at once.
    """
    new_theta = theta - rate * gradient(method, "generator", theta, psi)
    fake = torch.where(counts == 0, theta, new_theta)
    for i in range(max(1, int(counts.max()))):
        new = psi - rate * gradient(method, "discriminator", fake, psi)
        for regularizer in method.regularizers:
            new = regularizer.after_step({"psi": new}, {})[0]["psi"]
        psi = torch.where(i < counts.clamp(min=1), new, psi)
    return new_theta, psi


def trajectories(
    method: Method, rate: float, counts: Sequence[int], start: tuple[float, float], steps: int
) -> np.ndarray:
    """Return (theta, psi) from the start on, [len(counts), steps + 1, 2], in float64."""
    theta, psi = (torch.full((len(counts),), x, dtype=torch.float64) for x in start)
    updates = torch.tensor(counts)
    path = [torch.stack([theta, psi], 1)]
    for _ in range(steps):
        theta, psi = update(method, rate, updates, theta, psi)
        path.append(torch.stack([theta, psi], 1))
    return torch.stack(path, 1).numpy()


def field(method: Method, theta: np.ndarray, psi: np.ndarray) -> np.ndarray:
    """Return minus both gradients at (theta, psi), [2, *shape]."""
    at = [torch.from_numpy(x.reshape(-1)) for x in (theta, psi)]
    gradients = [gradient(method, network, *at) for network in ("generator", "discriminator")]
    return np.stack([-each.numpy().reshape(theta.shape) for each in gradients])


def jacobian(method: Method, rate: float, n: int) -> np.ndarray:
    """Return the derivative of one step at (0, 0), [2, 2], by autograd through the update.

    Taken at psi = 1e-12: the norm inside a penalty has no derivative at 0 itself.
    """

    def step(at: Tensor) -> Tensor:
        return torch.cat(update(method, rate, torch.tensor([n]), at[:1], at[1:]))

    origin = torch.tensor([0.0, 1e-12], dtype=torch.float64)
    return np.asarray(torch.autograd.functional.jacobian(step, origin))


def linear_step(method: Method, rate: float, n: int) -> np.ndarray:
    """Return the derivative of one step at (0, 0) in closed form.

    With coupling c and dampings a, b the generator's update is [[1 - h a, -h c], [0, 1]], the
    discriminator's [[1, 0], [h c, 1 - h b]]. Both at once: I + h [[-a, -c], [c, -b]].

    Raises:
        ValueError: The field has a kink at (0, 0).
    """
    if method.linear is None:
        raise ValueError(f"{method.title} has no derivative at (0, 0)")
    coupling, theta_damping, psi_damping = method.linear
    both = np.eye(2) + rate * np.array([[-theta_damping, -coupling], [coupling, -psi_damping]])
    if n == 0:
        return both
    generator, discriminator = np.eye(2), np.eye(2)
    generator[0], discriminator[1] = both[0], both[1]
    return np.linalg.matrix_power(discriminator, n) @ generator


@lru_cache
def _hermite(n: int) -> tuple[Tensor, Tensor]:
    """Return nodes and weights of the mean over N(0, 1); one node is the point 0."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(n)
    return torch.from_numpy(nodes), torch.from_numpy(weights / weights.sum())
