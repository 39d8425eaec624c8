"""gan_lab's own step at a row's sizes, and the check that it does the textbook loop's work."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarking.rows import DEPTH, GAMES, Work
from benchmarking.textbook import BETAS, BOUND, LR, WEIGHT, Textbook
from gan_lab.config import compose
from gan_lab.training.config import Run

_N_IMAGES = 1024
_N_POINTS = 20_000


class NotTheSameWork(Exception):
    """The contestants are not comparable."""


def keys(work: Work, directory: Path, seeds: int = 1) -> list[str]:
    """Overrides of `train` that make it the work; images are made up and put into the directory."""
    loss, _ = GAMES[work.game]
    chosen = [
        "data=ring" if work.shape == (2,) else "data=array",
        f"network={work.network}",
        f"loss={loss}",
        f"network.width={work.width}",
        f"network.latent_dim={work.latent_dim}",
        f"trainer.batch_size={work.batch_size}",
        f"trainer.n_critic={work.n_critic}",
        f"optim.lr={LR[work.game]}",
        f"n_seeds={seeds}",
    ]
    if work.network == "mlp":
        chosen.append(f"network.depth={DEPTH}")
    if work.game == "wgan_clip":
        chosen.append(f"regularizer.weight_clipping.bound={BOUND}")
    else:
        chosen.append(f"optim.betas=[{BETAS[0]},{BETAS[1]}]")
    if work.game == "wgan_gp":
        chosen.append(f"regularizer.gradient_penalty.weight={WEIGHT}")
    if work.shape != (2,):
        chosen.append(f"data.path={images(work, directory)}")
    return chosen


def images(work: Work, directory: Path) -> Path:
    """A file of random images in [-1, 1]: what is in them costs no time."""
    path = directory / f"images_{'x'.join(map(str, work.shape))}.npy"
    if not path.exists():
        numbers = np.random.default_rng(0).random((_N_IMAGES, *work.shape), dtype=np.float32)
        np.save(path, 2 * numbers - 1)
    return path


class Ours:
    """gan_lab's training step, its randomness drawn as in a run.

    Args:
        overrides: Of `train`.

    Attributes:
        run: The opened run.
        n_steps: Steps so far.
    """

    def __init__(self, overrides: list[str]) -> None:
        self.run: Run = compose.setup_of(compose.compose_config("train", overrides)).open()
        self.n_steps = 0

    def step(self) -> None:
        """One step."""
        draws = self.run.streams.draws(self.n_steps)
        self.run.step(draws)
        self.n_steps += 1

    def data(self) -> Tensor:
        """Samples of its data, for the textbook loop to draw from."""
        generator = torch.Generator(self.run.source.device).manual_seed(0)
        n = _N_POINTS if self.run.source.n_train is None else self.run.source.n_train
        return self.run.source.real(n, generator)


def variant_keys(mode: str, precision: str, device: str, threads: int) -> list[str]:
    """Overrides of `train` that choose how a step runs."""
    return [
        f"execution.mode={mode}",
        f"execution.precision={precision}",
        f"execution.threads={threads}",
        f"device={device}",
    ]


def check_same_work(work: Work, seeds: int, ours: Ours, textbook: Textbook) -> None:
    """Refuses to compare what is not the same work.

    Args:
        work: What both are meant to do.
        seeds: That gan_lab trains at once.
        ours: After some steps.
        textbook: After some steps.

    Raises:
        NotTheSameWork: Parameters, batches, latents or numbers of updates differ.
    """
    state, draws = ours.run.state, ours.run.streams.draws(ours.n_steps - 1)
    lead = (seeds,) if seeds > 1 else ()
    expected: list[tuple[str, Any, Any]] = [
        (
            "parameters of the discriminator",
            seeds * _count(textbook.discriminator.parameters()),
            _count(state.discriminator.params.values()),
        ),
        (
            "parameters of the generator",
            seeds * _count(textbook.generator.parameters()),
            _count(state.generator.params.values()),
        ),
        (
            "real samples of a step",
            (work.n_critic, *lead, work.batch_size, *work.shape),
            tuple(draws.discriminator.real.shape),
        ),
        (
            "latents of the generator's update",
            (1, *lead, work.batch_size, work.latent_dim),
            tuple(draws.generator.z.shape),
        ),
        ("steps counted", ours.n_steps, state.step),
    ]
    moves = (
        ("discriminator", state.discriminator, textbook.n_updates[0], work.n_critic),
        ("generator", state.generator, textbook.n_updates[1], 1),
    )
    for name, player, theirs, per_step in moves:
        n_steps = textbook.n_updates[1]
        expected.append((f"the textbook's updates of the {name}", per_step * n_steps, theirs))
        done = _updates(player.optimizer.state)
        if done is not None:
            expected.append((f"gan_lab's updates of the {name}", per_step * ours.n_steps, done))
    for what, wanted, got in expected:
        if wanted != got:
            raise NotTheSameWork(f"{work.words}: {what}: {wanted} were expected, {got} found")
    if not all(torch.isfinite(leaf).all() for leaf in state.generator.params.values()):
        raise NotTheSameWork(f"{work.words}: gan_lab's generator is not finite")


def _count(tensors: Any) -> int:
    return sum(tensor.numel() for tensor in tensors)


def _updates(state: Mapping[str, Tensor]) -> int | None:
    """How often an optimiser has moved, as it counts itself; RMSprop does not."""
    return int(state["step"]) if "step" in state else None


def modes_of(row_compiled: bool, device: str, asked: list[str]) -> list[str]:
    """Ways to run a step that a row is timed in."""
    able = ["auto", "eager", *(["compiled"] if row_compiled else [])]
    return [mode for mode in asked if mode in able or (mode, device) == ("cuda_graph", "cuda")]
