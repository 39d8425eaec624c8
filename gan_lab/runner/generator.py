"""A trained generator by itself: its module, a description of it, and paths between noises."""

import copy
import hashlib
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gan_lab import __version__
from gan_lab.training.run import Run


@torch.no_grad()
def averaged_generator(run: Run, index: int) -> nn.Module:
    """Return one seed's averaged generator, z [N, latent_dim] -> samples [N, *shape].

    Of a conditional run it takes [N, latent_dim + K]: z, then the class, one-hot. It is on the CPU
    and in evaluation mode: batch norm uses its running statistics, as in
    `Run.samples`.
    """
    module = copy.deepcopy(run.objective.generator).to_empty(device="cpu")
    average = run.state.average_of(index)
    for name, leaf in chain(module.named_parameters(), module.named_buffers()):
        leaf.data = average[name].detach().cpu().clone()  # in the same layout, for the same bits
    return module.requires_grad_(False).eval()


def describe_generator(run: Run, index: int, step: int, config_file: Path) -> dict[str, Any]:
    """Return what a reader of an exported generator needs to use it and to find its run.

    Args:
        run: The run.
        index: Of the seed.
        step: Of the checkpoint.
        config_file: The run's config.yaml, of which the SHA-256 digest is given.
    """
    pair = run.config.pair(run.source)
    classes = {"n_classes": pair.n_classes} if pair.n_classes else {}
    return {
        "gan_lab": __version__,
        "latent_dim": pair.latent_dim,
        **classes,  # one-hot after z
        "shape": list(run.source.shape),
        "network": run.config.resolved["network"],
        "seed": run.seeds[index],
        "step": step,
        "config_sha256": hashlib.sha256(config_file.read_bytes()).hexdigest(),
    }


def slerp(start: Tensor, end: Tensor, weight: Tensor) -> Tensor:
    """Return the spherical interpolation between vectors at t.

    It is (sin((1 - t) a) start + sin(t a) end) / sin(a), where a is the angle between the two: the
    ends exactly at t = 0 and 1, and between vectors of one norm always of that norm. This suits
    z ~ N(0, I) in d dimensions, whose norm is close to sqrt(d): halfway along a straight line it
    would be sqrt(d / 2), where the generator has hardly been trained. Vectors on one line have no
    arc between them, and are interpolated linearly.

    Args:
        start: Vectors, [*lead, d].
        end: Vectors, [*lead, d].
        weight: t in [0, 1], [*lead].

    Returns:
        Vectors, [*lead, d].

    Reference: White 2016, arXiv:1609.04468.
    """
    a, b, t = start.double(), end.double(), weight.double()[..., None]
    cosine = torch.nn.functional.cosine_similarity(a, b, dim=-1)[..., None]
    angle = cosine.clamp(-1, 1).acos()
    sine = angle.sin()
    on_one_line = sine < 1e-6
    arc = (((1 - t) * angle).sin() * a + (t * angle).sin() * b) / sine.masked_fill(on_one_line, 1)
    return torch.where(on_one_line, a + t * (b - a), arc).to(start.dtype)


def latent_paths(n: int, latent_dim: int, generator: torch.Generator) -> Tensor:
    """Return n paths of n points each between random z, [n, n, latent_dim]; see `slerp`.

    Path i leads from the i-th to the (n + i)-th of 2 n draws.
    """
    device = generator.device
    starts, ends = torch.randn((2, n, latent_dim), generator=generator, device=device)
    weights = torch.linspace(0, 1, n, device=device)
    starts, ends = (z[:, None].expand(n, n, latent_dim) for z in (starts, ends))
    return slerp(starts, ends, weights.expand(n, n))
