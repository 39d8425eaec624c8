"""The losses that are compared, the space each is tuned in, and its published recipe."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import qmc

# The same for every loss; not tuned.
COMMON = (
    *("network=conv", "network.width=16", "preset=none", "trainer.batch_size=32"),
    *("trainer.ema=0.998", "execution.mode=eager", "execution.threads=1"),
)
LEARNING_RATES = (3e-4, 8e-3)  # of the generator's Adam, log-uniform
RATIOS = (0.25, 4.0)  # of the discriminator's learning rate to it, log-uniform
BETA1 = (0.0, 0.5)
N_CRITIC = (1, 1, 2, 5)  # 1 twice: most recipes have it, and it is the quickest
PENALTY_EVERY = 4  # discriminator updates from one penalty to the next, times four in size
DIMENSIONS = 5


@dataclass(frozen=True)
class Method:
    """A loss with its regularizer.

    Attributes:
        label: What a person calls it.
        overrides: Of `train`, what makes it.
        strengths: Keys of its regularizer's weight or bound; none where there is nothing to set.
        bounds: Least and greatest strength, log-uniform.
        published_recipe: Overrides of the recipe of its paper, on the same network and batch.
        source: Where the recipe is from.
    """

    label: str
    overrides: tuple[str, ...]
    strengths: tuple[str, ...]
    bounds: tuple[float, float]
    published_recipe: tuple[str, ...]
    source: str


def _adam(lr: float, beta1: float, beta2: float, n_critic: int) -> tuple[str, ...]:
    adam = (f"optim.lr={lr}", f"optim.betas=[{beta1},{beta2}]")
    return ("optim=adam", *adam, f"trainer.n_critic={n_critic}")


# The batch of all is the study's, 32, not their papers'.
_DCGAN = "Radford et al. 2016: Adam 2e-4 (.5, .999)"
_WGAN_GP = (
    "Gulrajani et al. 2017: Adam 1e-4 (0, .9), weight 10 at every update, n_critic 5; "
    "without the extra critic updates at the start of the authors' code"
)
METHODS: Mapping[str, Method] = {
    "minimax": Method(
        "minimax", ("loss=minimax",), (), (1.0, 1.0), _adam(2e-4, 0.5, 0.999, 1), _DCGAN
    ),
    "non_saturating": Method(
        *("non-saturating", ("loss=non_saturating",), (), (1.0, 1.0)),
        *(_adam(2e-4, 0.5, 0.999, 1), _DCGAN),
    ),
    "non_saturating_r1": Method(
        *("NS + R1", ("loss=non_saturating", "regularizer=[r1]")),
        *(("regularizer.r1.weight",), (0.1, 10.0)),
        (
            *("optim=rmsprop", "optim.lr=1e-4", "trainer.n_critic=1"),
            *("regularizer.r1.weight=10", "regularizer.r1.every=1"),
        ),
        "Mescheder et al. 2018: RMSprop 1e-4, weight 10 at every update (recalled, not read)",
    ),
    "least_squares": Method(
        *("least squares", ("loss=least_squares",), (), (1.0, 1.0)),
        _adam(1e-3, 0.5, 0.999, 1),
        "Mao et al. 2017, on LSUN: Adam 1e-3 (.5, .999) (recalled, not read)",
    ),
    "hinge_sn": Method(
        *("hinge + SN", ("loss=hinge", "regularizer=[spectral_norm]"), (), (1.0, 1.0)),
        _adam(2e-4, 0.5, 0.999, 1),
        "Miyato et al. 2018, table 1, setting C: Adam 2e-4 (.5, .999), n_critic 1; theirs for "
        "plain convolutions, (0, .9) with n_critic 5 being for residual networks (recalled, not "
        "read)",
    ),
    "relativistic": Method(
        *("relativistic + R1 + R2", ("loss=relativistic", "regularizer=[r1,r2]")),
        *(("regularizer.r1.weight", "regularizer.r2.weight"), (0.05, 5.0)),
        (
            *_adam(2e-4, 0.0, 0.99, 1),
            *("regularizer.r1.weight=1", "regularizer.r2.weight=1"),
            *("regularizer.r1.every=1", "regularizer.r2.every=1"),
        ),
        "Huang et al. 2024, on Stacked MNIST: Adam 2e-4 (0, .99), weights 1 at every update "
        "(recalled, not read)",
    ),
    "wgan_clip": Method(
        *("WGAN clip", ("loss=wasserstein", "regularizer=[weight_clipping]")),
        *(("regularizer.weight_clipping.bound",), (0.01, 1.0)),
        (
            *("optim=rmsprop", "optim.lr=5e-5", "trainer.n_critic=5"),
            "regularizer.weight_clipping.bound=0.01",
        ),
        "Arjovsky et al. 2017: RMSprop 5e-5, bound .01, n_critic 5; without the extra critic "
        "updates at the start of the authors' code",
    ),
    "wgan_gp": Method(
        *("WGAN-GP", ("loss=wasserstein", "regularizer=[gradient_penalty]")),
        *(("regularizer.gradient_penalty.weight",), (1.0, 100.0)),
        (
            *_adam(1e-4, 0.0, 0.9, 5),
            "regularizer.gradient_penalty.weight=10",
            "regularizer.gradient_penalty.every=1",
        ),
        _WGAN_GP,
    ),
    "wgan_one_sided": Method(
        "WGAN one-sided",
        (
            *("loss=wasserstein", "regularizer=[gradient_penalty]"),
            "regularizer.gradient_penalty.one_sided=true",
        ),
        *(("regularizer.gradient_penalty.weight",), (1.0, 100.0)),
        (
            *_adam(1e-4, 0.0, 0.9, 5),
            "regularizer.gradient_penalty.weight=10",
            "regularizer.gradient_penalty.every=1",
        ),
        f"{_WGAN_GP}; one-sided as in Petzka et al. 2018, whose images use that recipe",
    ),
}


def draw_points(n: int, seed: int) -> np.ndarray:
    """Return n points of the unit cube, [n, DIMENSIONS]: a scrambled Halton sequence.

    Every loss is tuned at the same points.
    """
    return np.asarray(qmc.Halton(DIMENSIONS, scramble=True, seed=seed).random(n))


def tuned_overrides(method: Method, point: Sequence[float]) -> tuple[str, ...]:
    """Return the configuration at a point of the unit cube.

    Its coordinates are the generator's learning rate, the discriminator's over it, beta1, n_critic
    and the strength, which is idle where a loss has none.
    """
    lr = _log_uniform(LEARNING_RATES, point[0])
    ratio = _log_uniform(RATIOS, point[1])
    beta1 = BETA1[int(point[2] * len(BETA1))]
    n_critic = N_CRITIC[int(point[3] * len(N_CRITIC))]
    strength = _log_uniform(method.bounds, point[4])
    every = [
        f"{key.removesuffix('.weight')}.every={PENALTY_EVERY}"
        for key in method.strengths
        if key.endswith(".weight")
    ]
    return (
        *("optim=adam", f"optim.lr={lr:.3g}", f"optim.discriminator_lr={lr * ratio:.3g}"),
        *(f"optim.betas=[{beta1},0.99]", f"trainer.n_critic={n_critic}"),
        *(f"{key}={strength:.3g}" for key in method.strengths),
        *every,
    )


def _log_uniform(bounds: tuple[float, float], share: float) -> float:
    low, high = map(math.log, bounds)
    return math.exp(low + share * (high - low))
