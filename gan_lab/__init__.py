"""gan_lab: a laboratory that compares GANs and Wasserstein GANs by the same metrics.

    run = gan_lab.train(data="ring", loss="wasserstein", steps=2000, seed=0)
    run.samples(64), run.metrics, run.evaluate()

Everything is imported when it is first used: `import gan_lab` itself does not import torch.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_ROOMS = ("data", "experiments", "losses", "metrics", "networks", "regularizers")
__all__ = [
    *("Callback", "Comparison", "ConfigError", "Estimate", "Estimates", "Run", "RunDiverged"),
    *("TrainedRun", "compare", "fit", "load", "measure", "steps", "train"),
    *_ROOMS,
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'gan_lab' has no attribute '{name}'")
    if name in _ROOMS:
        return importlib.import_module(f"gan_lab.{name}")
    return getattr(importlib.import_module("gan_lab.api"), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
