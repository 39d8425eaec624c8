"""A perfect critic of data and data plus noise, by exact transport of samples."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from gan_lab.data.base import Distribution
from gan_lab.data.toy import Grid, Ring
from gan_lab.data.toy_shapes import SwissRoll
from gan_lab.engine.rng import stream
from gan_lab.experiments.base import Arrays
from gan_lab.information import optimal_transport
from gan_lab.metrics.wasserstein import exact_wasserstein

DATA: dict[str, Distribution] = {"ring": Ring(), "grid": Grid(), "swiss_roll": SwissRoll()}
HALF_WIDTH = 3.0  # of the pictures, data units, as in the authors' code
PIXELS = 81


def transport(name: str, n: int, seeds: Sequence[int], device: torch.device) -> Arrays:
    """Return W1 between samples, and the potential of a perfect critic in the plane.

    Returns:
        wasserstein, floor: W1 between n real and n fake samples, and between n real ones and n
            real ones, data units, [S]. surface: the first seed's potential, the 1-Lipschitz
            f(x) = min over fakes y of |x - y| + f(y), on `plane()`, less its mean, [P].
        contrast: Of that potential, see `points_on_and_off`. real, fake: 256 samples to draw.
    """
    data = DATA[name]
    distances, floors = [], []
    for seed in seeds:
        g = stream(seed, f"critic_surfaces/transport/{name}", device)
        real, again = data.sample(n, g), data.sample(n, g)
        fake = data.sample(n, g) + torch.randn(n, 2, generator=g, device=device)
        distances.append(exact_wasserstein(real, fake))
        floors.append(exact_wasserstein(real, again))
        if seed == seeds[0]:
            samples, potential = (real.cpu(), fake.cpu()), _potential(real, fake)
    heights = potential(plane())
    on, off = points_on_and_off()[name]
    value = potential(samples[0]).mean() - potential(samples[1]).mean()
    return {
        "wasserstein": torch.tensor(distances).numpy(),
        "floor": torch.tensor(floors).numpy(),
        "surface": (heights - heights.mean()).float().numpy(),
        "contrast": ((potential(on).mean() - potential(off).mean()) / value).numpy(),
        "real": samples[0][:256].numpy(),
        "fake": samples[1][:256].numpy(),
    }


def plane() -> Tensor:
    """Return the points of the pictures, the second coordinate running fastest, [P, 2]."""
    axis = torch.linspace(-HALF_WIDTH, HALF_WIDTH, PIXELS)
    return torch.cartesian_prod(axis, axis)


def points_on_and_off() -> dict[str, tuple[Tensor, Tensor]]:
    """Return points on the data and points between, which only a critic of many modes separates.

    The mean of f on the former less that on the latter, over E_real f - E_fake f, is the contrast.

    Returns:
        ring: the modes, and halfway between neighbours on the circle. grid: the nine inner modes,
        and the sixteen middles of the squares around them, weighted as corners of the nine.
        swiss_roll: two neighbouring windings, and halfway between them.
    """
    turn = torch.arange(8) * (math.pi / 4)

    def circle(angle: Tensor) -> Tensor:
        return torch.stack([angle.cos(), angle.sin()], 1)

    ring, grid, roll = Ring(), Grid(), SwissRoll()
    line = (torch.arange(3) - 1) * grid.spacing
    modes = torch.cartesian_prod(line, line)
    half = torch.tensor([-0.5, 0.5]) * grid.spacing
    corners = (modes[:, None] + torch.cartesian_prod(half, half)).flatten(0, 1)
    t = torch.linspace(1.5 * math.pi, 2.5 * math.pi, 41)
    windings = [(t + shift)[:, None] * circle(t) / roll.scale for shift in (0, 2 * math.pi)]
    between = (t + math.pi)[:, None] * circle(t) / roll.scale
    return {
        "ring": (ring.radius * circle(turn), ring.radius * circle(turn + math.pi / 8)),
        "grid": (modes, corners),
        "swiss_roll": (torch.cat(windings), between),
    }


def _potential(real: Tensor, fake: Tensor) -> Callable[[Tensor], Tensor]:
    """Return the dual solution between two samples as a 1-Lipschitz function of the plane."""
    real, fake = real.double().cpu(), fake.double().cpu()
    p = torch.full((len(real),), 1 / len(real), dtype=torch.float64)
    q = p.clone().requires_grad_(True)
    value, _ = optimal_transport(p, q, torch.cdist(real, fake))
    (dual,) = torch.autograd.grad(value, q)

    return lambda x: (torch.cdist(x.double(), fake) - dual).amin(1)
