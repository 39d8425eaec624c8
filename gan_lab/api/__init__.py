"""The library face: train, load, compare and measure from Python; `import gan_lab` gives all."""

from gan_lab.api.comparison import Comparison, compare
from gan_lab.api.estimates import Estimates
from gan_lab.api.measuring import measure
from gan_lab.api.trained_run import TrainedRun, load
from gan_lab.api.training import steps, train
from gan_lab.errors import ConfigError, RunDiverged
from gan_lab.metrics.estimate import Estimate
from gan_lab.training.callback import Callback
from gan_lab.training.loop import fit
from gan_lab.training.run import Run

__all__ = [
    "Callback",
    "Comparison",
    "ConfigError",
    "Estimate",
    "Estimates",
    "Run",
    "RunDiverged",
    "TrainedRun",
    "compare",
    "fit",
    "load",
    "measure",
    "steps",
    "train",
]
