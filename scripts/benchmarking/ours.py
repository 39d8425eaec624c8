"""gan_lab's own step at a row's sizes, and the check that it does the textbook loop's work."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarking.rows import DEPTH, GAMES, Work
from benchmarking.textbook import BETAS, BOUND, LR, WEIGHT, Textbook
from gan_lab.config import compose
from gan_lab.training.build import open_run
from gan_lab.training.run import Run

_N_IMAGES = 1024
_N_POINTS = 20_000


class NotTheSameWork(Exception):
    """The contestants are not comparable."""


def keys(work: Work, directory: Path, seeds: int = 1) -> list[str]:
    """Overrides of `train` that make it the work; images are made up and put into the directory."""
    loss, _ = GAMES[work.game]
    overrides = [
        *(f"network={work.network}", f"network.width={work.width}", f"loss={loss}"),
        *(f"network.latent_dim={work.latent_dim}", f"trainer.batch_size={work.batch_size}"),
        *(f"trainer.n_critic={work.n_critic}", f"optim.lr={LR[work.game]}", f"n_seeds={seeds}"),
    ]
    if work.shape == (2,):
        overrides.append("data=ring")
    else:
        overrides += ["data=array", f"data.path={images(work, directory)}"]
    if work.network == "mlp":
        overrides.append(f"network.depth={DEPTH}")
    if work.game == "wgan_clip":
        overrides.append(f"regularizer.weight_clipping.bound={BOUND}")
    else:
        overrides.append(f"optim.betas=[{BETAS[0]},{BETAS[1]}]")
    if work.game == "wgan_gp":
        overrides.append(f"regularizer.gradient_penalty.weight={WEIGHT}")
        overrides.append("regularizer.gradient_penalty.every=1")  # images have lazy ones
    return overrides


def images(work: Work, directory: Path) -> Path:
    """A file of random images in [-1, 1]: what is in them costs no time."""
    path = directory / f"images_{'x'.join(map(str, work.shape))}.npy"
    if not path.exists():
        numbers = np.random.default_rng(0).random((_N_IMAGES, *work.shape), dtype=np.float32)
        np.save(path, 2 * numbers - 1)
    return path


class Ours:
    """gan_lab's training step, its randomness drawn as in a run: of the run's overrides."""

    def __init__(self, overrides: list[str]) -> None:
        config = compose.build_run_config(compose.compose_config("train", overrides))
        self.run: Run = open_run(config)
        self.n_steps = 0

    def step(self) -> None:
        self.run.step(self.run.streams.draws(self.n_steps))
        self.n_steps += 1

    def data(self) -> Tensor:
        """Samples of its data, for the textbook loop to draw from."""
        generator = torch.Generator(self.run.source.device).manual_seed(0)
        n = _N_POINTS if self.run.source.n_train is None else self.run.source.n_train
        return self.run.source.real(n, generator)


def variant_keys(mode: str, precision: str, device: str, threads: int) -> list[str]:
    """Overrides of `train` that choose how a step runs."""
    ways = {"mode": mode, "precision": precision, "threads": threads}
    return [*(f"execution.{key}={value}" for key, value in ways.items()), f"device={device}"]


def check_same_work(work: Work, seeds: int, ours: Ours, textbook: Textbook) -> None:
    """Refuses to compare what is not the same work, both after some steps.

    Raises:
        NotTheSameWork: Parameters, batches, latents or numbers of updates differ.
    """
    state, draws = ours.run.state, ours.run.streams.draws(ours.n_steps - 1)
    lead = (*([seeds] if seeds > 1 else []), work.batch_size)
    real, z = draws.discriminator.real.shape, draws.generator.z.shape
    checks: list[tuple[str, Any, Any]] = [
        ("real samples of a step", (work.n_critic, *lead, *work.shape), tuple(real)),
        ("latents of the generator's update", (1, *lead, work.latent_dim), tuple(z)),
        ("steps counted", ours.n_steps, state.step),
        *(
            ("updates from one penalty to the next", 1, r.every)
            for r in ours.run.objective.regularizers
        ),
    ]
    for name, module, network, updates, per_step in (
        ("discriminator", textbook.discriminator, state.discriminator, 0, work.n_critic),
        ("generator", textbook.generator, state.generator, 1, 1),
    ):
        theirs, n_steps = textbook.n_updates[updates], textbook.n_updates[1]
        sizes = seeds * _count(module.parameters()), _count(network.params.values())
        checks.append((f"parameters of the {name}", *sizes))
        checks.append((f"the textbook's updates of the {name}", per_step * n_steps, theirs))
        if "step" in network.optimizer.state:  # RMSprop does not count its updates
            n_updates = int(network.optimizer.state["step"])
            checks.append((f"gan_lab's updates of the {name}", per_step * ours.n_steps, n_updates))
    for what, expected, actual in checks:
        if expected != actual:
            raise NotTheSameWork(f"{work.words}: {what}: {expected} were expected, {actual} found")
    if not all(torch.isfinite(leaf).all() for leaf in state.generator.params.values()):
        raise NotTheSameWork(f"{work.words}: gan_lab's generator is not finite")


def _count(tensors: Any) -> int:
    return sum(tensor.numel() for tensor in tensors)


def modes_of(row_compiled: bool, device: str, asked: list[str]) -> list[str]:
    """Ways to run a step that a row is timed in."""
    able = ["auto", "eager", *(["compiled"] if row_compiled else [])]
    return [mode for mode in asked if mode in able or (mode, device) == ("cuda_graph", "cuda")]
