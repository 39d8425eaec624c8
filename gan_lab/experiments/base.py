"""The interface of a study: measure into arrays; claims and pictures are functions of those."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from matplotlib.figure import Figure

from gan_lab.experiments.claims import Claim
from gan_lab.experiments.cluster import Launcher
from gan_lab.reports.plots.animation import Animation
from gan_lab.training.config import RunConfig

Arrays = dict[str, np.ndarray]
Curve = tuple[np.ndarray, np.ndarray]  # steps (whole numbers), values


@dataclass(frozen=True)
class Lab:
    """Seeds, device, directory and helpers that a study works with.

    Attributes:
        seeds: One integer a repetition; everything random derives from one of them.
        directory: The study's run directory; trainings of its own go below `runs`.
        workers: Processes for independent work, one thread each.
        run_config: The overrides of `train` -> its configuration, for studies that train runs.
        tell: Shows one line of progress.
        launcher: Where independent work goes instead of to processes of this machine, or None.
    """

    seeds: tuple[int, ...]
    device: torch.device
    directory: Path
    workers: int
    quick: bool
    run_config: Callable[[Sequence[str]], RunConfig]
    tell: Callable[[str], None]
    launcher: Launcher | None = None


class Experiment(ABC):
    """A study: a frozen dataclass whose fields are the keys of its config file."""

    title: ClassVar[str]
    question: ClassVar[str]
    reference: ClassVar[str]

    @abstractmethod
    def measure(self, lab: Lab) -> Arrays:
        """Do all the work.

        Returns:
            Named arrays of numbers, bools or fixed-width text: all that claims and pictures need.
        """

    @abstractmethod
    def claims(self, arrays: Arrays) -> list[Claim]:
        """Judge what was measured. Pure."""

    @abstractmethod
    def figures(self, arrays: Arrays) -> Mapping[str, Figure]:
        """Return pictures by file name without ending. Pure; called in `style.house_style()`."""

    def curves(self, arrays: Arrays) -> Mapping[str, Curve]:
        """Return what TensorBoard shows as curves, by tag. Pure."""
        return {}

    def animations(self, arrays: Arrays) -> Mapping[str, Animation]:
        """Return animations by file name without ending. Pure."""
        return {}

    def notes(self, arrays: Arrays) -> list[str]:
        """Return sentences, made from the numbers, that a reader needs beside the claims. Pure."""
        return []

    def answer(self, arrays: Arrays) -> list[str]:
        """Return the question's answer in a few sentences, first on the page. Pure."""
        return []

    def job_stages(self, seeds: tuple[int, ...]) -> list[str]:
        """Return the work that goes out at once, a line for each stage, where there are several."""
        return []

    def quick_note(self, n_seeds: int) -> str:
        """Return the sentence that stands on every figure of a study performed with quick=true."""
        seeds = f"{n_seeds} seed{'s' if n_seeds > 1 else ''}"
        return f"Quick scale, {seeds}. For evidence: the full study (quick=false)."


@dataclass(frozen=True)
class Result:
    """Configuration, arrays, claims, notes and answer of a study; see `runner` for the files."""

    experiment: str
    config: dict[str, Any]
    arrays: Arrays
    claims: list[Claim]
    notes: list[str]
    answer: list[str] = field(default_factory=list)
