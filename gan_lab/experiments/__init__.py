"""Studies: each measures, checks its claims, saves both, and draws what was saved.

`claims` says what a claim is, `base` what a study implements, `runner` performs one, `registry`
judges published claims. A study is a package: `study` measures, `figures` draws from arrays, and
other modules hold what they need.

The names below are imported when they are first used: studies need matplotlib and the trainer.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gan_lab.experiments.base import Arrays, Curve, Experiment, Lab, Result
    from gan_lab.experiments.best_and_last.study import BestAndLast
    from gan_lab.experiments.claims import Claim, at_least, at_most, claim_all, equals
    from gan_lab.experiments.critic_surfaces.study import CriticSurfaces
    from gan_lab.experiments.cross_entropy_gradients.study import CrossEntropyGradients
    from gan_lab.experiments.curves_that_mean_something.study import CurvesThatMeanSomething
    from gan_lab.experiments.dirac_gan.study import DiracGan
    from gan_lab.experiments.divergence_zoo.study import DivergenceZoo
    from gan_lab.experiments.gan_1d.study import Gan1d
    from gan_lab.experiments.losses_on_images.study import LossesOnImages
    from gan_lab.experiments.mode_collapse.study import ModeCollapse
    from gan_lab.experiments.optimal_discriminator.study import OptimalDiscriminator
    from gan_lab.experiments.parallel_segments.study import ParallelSegments
    from gan_lab.experiments.stacked_mnist.study import StackedMnistModes
    from gan_lab.experiments.vanishing_gradients.study import VanishingGradients
    from gan_lab.experiments.w1_benchmark.study import W1Benchmark

_MODULES = {
    **dict.fromkeys(("Arrays", "Curve", "Experiment", "Lab", "Result"), "base"),
    **dict.fromkeys(("Claim", "at_least", "at_most", "claim_all", "equals"), "claims"),
    "BestAndLast": "best_and_last.study",
    "CriticSurfaces": "critic_surfaces.study",
    "CrossEntropyGradients": "cross_entropy_gradients.study",
    "CurvesThatMeanSomething": "curves_that_mean_something.study",
    "DiracGan": "dirac_gan.study",
    "DivergenceZoo": "divergence_zoo.study",
    "Gan1d": "gan_1d.study",
    "LossesOnImages": "losses_on_images.study",
    "ModeCollapse": "mode_collapse.study",
    "OptimalDiscriminator": "optimal_discriminator.study",
    "ParallelSegments": "parallel_segments.study",
    "StackedMnistModes": "stacked_mnist.study",
    "VanishingGradients": "vanishing_gradients.study",
    "W1Benchmark": "w1_benchmark.study",
}
__all__ = ["Arrays", "Curve", "Experiment", "Lab", "Result"]
__all__ += ["Claim", "at_least", "at_most", "claim_all", "equals"]
__all__ += ["BestAndLast", "CriticSurfaces", "CrossEntropyGradients", "CurvesThatMeanSomething"]
__all__ += ["DiracGan", "StackedMnistModes"]
__all__ += [
    "DivergenceZoo",
    "Gan1d",
    "LossesOnImages",
    "ModeCollapse",
    "OptimalDiscriminator",
    "ParallelSegments",
]
__all__ += ["VanishingGradients", "W1Benchmark"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
